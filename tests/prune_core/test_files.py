"""Files that are whole or absent, and on the disk before they get their names."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prune_core.files import append, make_folder, remove_partial, sync_tree, write_atomically
from prune_core.masks.files import save_masks
from prune_core.training import EpochCheckpoint
from tests.helpers.disk import traced


def test_content_is_on_the_disk_before_its_name_and_then_the_name(tmp_path):
    file = tmp_path / "file"
    with traced() as trace:
        write_atomically(file, b"new")
    (_, partial), *others = trace.calls
    assert partial.name.startswith(".file.")
    assert others == [("name", file), ("sync", tmp_path)]
    assert not trace.early
    assert file.read_bytes() == b"new"


def test_a_trace_finds_what_is_named_too_early(tmp_path):
    part = tmp_path / "part"
    with traced() as trace:
        part.write_bytes(b"new")
        part.replace(tmp_path / "file")
    assert trace.early == [part]


@pytest.mark.parametrize(
    ("content", "there"),
    [(b"\x00\xff", b"\x00\xff"), ("é\n", "é\n".encode()), (lambda file: file.write(b"written"), b"written")],
    ids=["bytes", "text", "function"],
)
def test_what_is_written_replaces_what_was_there(tmp_path, content, there):
    file = tmp_path / ".file"
    file.write_bytes(b"old")
    write_atomically(file, content)
    assert [path.name for path in tmp_path.iterdir()] == [".file"]
    assert file.read_bytes() == there
    mask = os.umask(0)
    os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_cannot_be_written_leaves_the_old_file_alone(tmp_path):
    def fail(file) -> None:
        file.write(b"half")
        raise OSError("no room")

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OSError, match="no room"):
        write_atomically(tmp_path / "file", fail)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_lines_and_new_folders_are_on_the_disk(tmp_path):
    folder, file = tmp_path / "a" / "b", tmp_path / "a" / "b" / "lines"
    with traced() as trace:
        make_folder(folder)
        append(file, b"one\n")
        append(file, b"two\n")
    assert trace.calls == [
        *(("sync", tmp_path), ("sync", tmp_path / "a")),
        *(("sync", file), ("sync", folder), ("sync", file)),
    ]
    assert file.read_bytes() == b"one\ntwo\n"


def test_a_tree_is_synced_files_first_and_links_are_not_followed(tmp_path):
    inner = tmp_path / "tree" / "inner"
    inner.mkdir(parents=True)
    outside = tmp_path / "outside"
    files = {tmp_path / "tree" / "one", inner / "two"}
    for file in (outside, *files):
        file.write_bytes(b"content")
    (inner / "link").symlink_to(outside)
    with traced() as trace:
        sync_tree(tmp_path / "tree")
    synced = [path for _, path in trace.calls]
    assert set(synced[:2]) == files
    assert synced[2:] == [inner, tmp_path / "tree"]


_WRITER = """
import sys, pathlib
from prune_core.files import write_atomically
def stuck(file):
    file.write(b"half")
    print(flush=True)
    sys.stdin.read()
write_atomically(pathlib.Path(sys.argv[1]), stuck)
"""


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_stays(tmp_path):
    command = [sys.executable, "-c", _WRITER]
    with (
        subprocess.Popen([*command, tmp_path / "one"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed,
        subprocess.Popen([*command, tmp_path / "two"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living,
    ):
        for writer in (killed, living):
            assert writer.stdout.readline()
        killed.kill()
        killed.wait()
        assert len(list(tmp_path.iterdir())) == 2
        remove_partial(tmp_path)
        (left,) = tmp_path.iterdir()
        assert left.name.startswith(".two.")
        living.communicate(b"")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


class Variable:
    shape = (2,)

    def numpy(self) -> np.ndarray:
        return np.zeros(2)


def write_masks(folder: Path) -> None:
    save_masks(folder / "masks.npz", {"dense/kernel": np.ones(3, bool)})


def write_checkpoint(folder: Path) -> None:
    assert EpochCheckpoint(folder / "checkpoint.npz", every_s=0).save([Variable()], [{"loss": 1.0}])


@pytest.mark.parametrize("write", [write_masks, write_checkpoint])
def test_whoever_writes_a_file_syncs_it(tmp_path, write):
    with traced() as trace:
        write(tmp_path)
    assert not trace.early
    assert trace.calls[-1] == ("sync", tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
