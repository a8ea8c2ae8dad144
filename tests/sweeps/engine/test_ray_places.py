"""Where Ray's files go, and what is said when there is no place for them or Ray does not start."""

from pathlib import Path

import psutil
import pytest

from prune_core.errors import UserError
from sweeps.engine import ray_places
from sweeps.engine.orphans import folder_of, ray_folder
from sweeps.engine.ray_start import _shared_memory

SWEEP = Path("/data/outputs/sweeps/0123456789ab")


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch of job 0123456789"
    folder.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    return folder


def test_the_longest_socket_fits_to_the_byte() -> None:
    most = 107 - len("/ray-0f0f0f/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
    assert most == 32
    assert ray_places.unfit(Path("/tmp/" + "x" * (most - 5))) == ""
    assert "(33 bytes of at most 32)" in ray_places.unfit(Path("/tmp/" + "x" * (most - 4)))
    assert "(33 bytes of at most 32)" in ray_places.unfit(Path("/tmp/" + "é" * 14))


def test_a_folder_that_is_too_long_is_replaced_by_the_same_one_at_each_start(long: Path, caplog) -> None:
    folder = folder_of(SWEEP)
    assert folder.parent == Path("/tmp")
    assert folder_of(SWEEP) == folder
    assert _shared_memory(folder) is None
    assert f"{long} has a longer path than Ray's sockets allow" in caplog.text
    assert "Ray's own files go to /tmp" in caplog.text


def test_what_an_earlier_start_left_elsewhere_is_cleared(long: Path) -> None:
    left = long / folder_of(SWEEP).name / "session_2026-01-01_00-00-00_123456_4194305"
    left.mkdir(parents=True)
    with ray_folder(SWEEP):
        assert not left.parent.exists()


def test_a_place_that_does_not_exist_yet_is_one_if_it_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray_places.unfit(Path("/tmp/not/there")) == ""
    assert ray_places.unfit(Path("/proc/1/not/there")) == "cannot be written"
    assert ray_places.unfit(Path("/dev/null/x")) == "cannot be written"


def test_no_place_at_all_is_refused_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    monkeypatch.setattr(ray_places, "_LEAST_ROOM", 2**80)
    with pytest.raises(UserError, match="Ray cannot be started: /tmp is full; name a short folder that can be written"):
        _shared_memory(folder_of(SWEEP))


def test_shared_memory_that_cannot_be_written_is_replaced(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(ray_places, "SHARED_MEMORY", Path("/proc/1"))
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    folder = folder_of(tmp_path)
    assert _shared_memory(folder) == str(folder)
    assert folder.is_dir()
    assert "/proc/1 cannot be written: shared memory is in /tmp, which is slower" in caplog.text
    folder.rmdir()


def test_the_cause_is_what_is_short_or_what_ray_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_places, "_LONGEST_SOCKET", 1000)
    monkeypatch.setattr(ray_places, "_LEAST_MEMORY", 0)
    logs = tmp_path / "ray-0f0f0f" / "session_2026-01-01_00-00-00_123456_7" / "logs"
    logs.mkdir(parents=True)
    (logs / "gcs_server.err").write_text("\n")
    (logs / "raylet.out").write_text("all is well\n")
    folder = logs.parents[1]
    monkeypatch.setattr(ray_places, "_LEAST_LIMIT", 0)
    assert ray_places.cause(folder) == "its processes say nothing about it, so the machine may be overloaded"
    allowed, _ = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)
    monkeypatch.setattr(ray_places, "_LEAST_LIMIT", allowed + 1)
    assert ray_places.cause(folder) == f"only {allowed} open files (ulimit -n) are allowed, which may be too few"
    (logs / "raylet.out").write_text("all is well\n[2026 C 7 7] plasma.cc:1: no such device\n[2026 I 7 7] the end\n")
    assert ray_places.cause(folder) == "raylet.out ends with '[2026 C 7 7] plasma.cc:1: no such device'"
    (logs / "raylet.err").write_text("first\nCheck failed: no such device\n\n")
    assert ray_places.cause(folder) == "raylet.err ends with 'Check failed: no such device'"
    monkeypatch.setattr(ray_places, "_LEAST_MEMORY", 2**80)
    assert ray_places.cause(folder).endswith("MiB of memory are free, end other programs")
    monkeypatch.setattr(ray_places, "_LEAST_ROOM", 2**80)
    assert ray_places.cause(folder) == f"{tmp_path} is full"
