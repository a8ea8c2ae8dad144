"""The Dockerfile built for real by podman over a base made from Debian, and a sweep in a container of it, confined."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.store import ResultStore
from tests.faults.drivers import ROOT

pytestmark = pytest.mark.slow
TOOLS = ("podman", "mmdebstrap", "unshare")
BASE = "localhost/python-base"
IMAGE = "localhost/prune-sweep"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[list[str]]:
    """Its command line, with a store of its own that is removed afterwards."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() or missing:
        pytest.skip(f"images are built by root, with {', '.join(missing or TOOLS)}")
    store = ["--root", str(tmp_path / "store"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs"]
    yield ["podman", *store, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    shutil.rmtree(tmp_path / "store", ignore_errors=True)


def test_image_runs_a_sweep_without_root_on_a_read_only_file_system(tmp_path: Path, podman: list[str]) -> None:
    base = tmp_path / "base.tar"
    run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(base))
    run(*podman, "import", str(base), BASE)
    run(
        *podman, "build", "--isolation=chroot", "--network=host", "--layers=false", *as_pip_is_here(),
        "--file", "docker/Dockerfile", "--target", "runtime", "--build-arg", f"PYTHON_IMAGE={BASE}",
        "--tag", IMAGE, ".",
    )  # fmt: skip
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)
    confined = (
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--network=none",
        "--cgroups=disabled",
    )
    limits = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--tmpfs", "/tmp:rw,mode=1777")
    command = [*podman, "run", "--rm", *confined, *limits, "-v", f"{outputs}:/work/outputs", IMAGE]
    assert in_container(command, "id", "-u").split() == ["10001"]
    said = in_container(command, "prune-sweep", "method=importance", "storage.root=/work/outputs")
    assert "report: /work/outputs" in said
    assert len(list(ResultStore(outputs).results.glob("[!.]*/result.json"))) == 6
    size = run(*podman, "image", "inspect", "--format={{.Size}}", IMAGE)
    print(f"the image takes {int(size) / 1e9:.2f} GB")


def as_pip_is_here() -> list[str]:
    """Build mounts that let pip find packages as it does on this machine; none of it stays in the image."""
    settings = run(sys.executable, "-m", "pip", "config", "list")
    places = {word.strip("'\"").removeprefix("file://") for word in settings.replace("=", " ").split()}
    folders = {
        f"/{Path(place).parts[1]}/{Path(place).parts[2]}"
        for place in places
        if place.startswith("/") and Path(place).is_dir()
    }
    files = run(sys.executable, "-m", "pip", "config", "debug").splitlines()
    configs = [line.partition(",")[0].strip() for line in files if line.endswith("exists: True")]
    mounts = [f"{folder}:{folder}:ro" for folder in sorted(folders)]
    mounts += [f"{config}:/etc/pip.conf:ro" for config in configs[-1:]]
    mounts += [f"{CERTIFICATES}:{CERTIFICATES}:ro", "/etc/resolv.conf:/etc/resolv.conf:ro"]
    return [word for mount in mounts for word in ("-v", mount)]


def in_container(command: list[str], *words: str) -> str:
    """Run the container with a cgroup file system of its own, which podman wants to see."""
    script = 'mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null; exec "$@"'
    return run("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command, *words)


def run(*command: str) -> str:
    """What a command prints; what it complains of, where it fails."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout
