"""What a process is started in: warnings, locale, home, current folder, names that are not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.config.storage import storage_settings
from sweeps.process import surroundings

ROOT = Path(__file__).parents[3]
TELL = """
import json, os, sys, warnings
from sweeps.process import surroundings
surroundings.settle()
warnings.warn("said, not raised")
print(json.dumps([sys.argv, os.environ.get("PYTHONWARNINGS"), sys.flags.utf8_mode, sys.stdout.encoding,
                  os.environ.get("HOME"), os.environ.get("MPLCONFIGDIR")]))
"""


def tell(*arguments: str, options: tuple[str, ...] = (), **environment: str) -> list:
    """[argv, PYTHONWARNINGS, UTF-8 mode, encoding of the output, HOME, MPLCONFIGDIR] of a process that has settled."""
    around = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"} | environment
    done = subprocess.run(
        [sys.executable, *options, "-c", TELL, *arguments], cwd=ROOT, env=around, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.decode("latin-1"))


@pytest.mark.parametrize(("asked", "left"), [("error", ""), ("ignore,e::UserWarning", "ignore"), ("once", "once")])
def test_no_warning_is_raised_in_a_library(asked: str, left: str) -> None:
    assert tell(PYTHONWARNINGS=asked)[1] == left
    assert tell(options=("-W", "error"))[0] == ["-c"]


def test_names_are_utf8_whatever_the_locale() -> None:
    argv, _, mode, encoding, *_ = tell("café", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (argv, mode, encoding) == (["-c", "café"], 1, "ascii"), "started again, with the terminal's own encoding"
    assert tell("café")[0] == ["-c", "café"]


def test_who_has_no_home_gets_what_libraries_need(tmp_path: Path) -> None:
    own = str(tmp_path / f"prune-sweep-{os.getuid()}")
    assert tell(HOME="/dev/null/me", TMPDIR=str(tmp_path))[4:] == ["/dev/null/me", f"{own}/matplotlib"]
    assert tell(HOME=str(tmp_path))[4:] == [str(tmp_path), None]


def test_downloads_of_who_has_no_home_go_to_the_temporary_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage_settings({}).data == tmp_path / ".cache" / "prune-sweep"
    monkeypatch.setenv("HOME", "/dev/null/me")
    assert storage_settings({}).data == tmp_path / f"prune-sweep-{os.getuid()}" / "cache"


def test_a_folder_of_somebody_elses_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"prune-sweep-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(surroundings.UserError, match="is somebody else's"):
        surroundings.own_folder()


@pytest.mark.parametrize("start", ["sweeps/run.py", "sweeps/report.py", "sweeps/submit.py", "sweeps/ui.py"])
def test_a_current_folder_that_has_gone_is_said(start: str, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    path = {"PYTHONPATH": str(ROOT)}
    command = f'rmdir "$PWD"; exec {sys.executable} {ROOT / start}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, **path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: the current folder does not exist any more: change to one that does"
    )


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    word = b"storage.root=" + os.fsencode(tmp_path) + b"/caf\xe9"
    done = subprocess.run([sys.executable, "sweeps/run.py", word], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "caf\\udce9' is not UTF-8, which databases and addresses need: rename that file or folder" in done.stderr
    assert list(tmp_path.iterdir()) == []
