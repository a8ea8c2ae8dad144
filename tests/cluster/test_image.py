"""The Dockerfile built for real by podman over a base made from Debian, and its images at work, confined."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.store import ResultStore
from tests.helpers.drivers import ROOT

pytestmark = pytest.mark.slow
TOOLS = ("podman", "mmdebstrap", "unshare")
BASE = "localhost/python-base"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
HEALTHY_S = 240


@pytest.fixture(scope="module")
def podman() -> Iterator[list[str]]:
    """podman's command line, with a store of its own, which holds the base image and is removed afterwards."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() or missing:
        pytest.skip(f"images are built by root, with {', '.join(missing or TOOLS)}")
    # podman asks for a short path.
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as folder:
        store = ["--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
        podman = ["podman", *store, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        base = f"{folder}/base.tar"
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", base)
        run(*podman, "import", base, BASE)
        yield podman


def test_image_runs_a_sweep_and_a_node_without_root_on_a_read_only_file_system(
    tmp_path: Path, podman: list[str]
) -> None:
    image = build(podman, "runtime")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)
    command = confined(podman, image, "-v", f"{outputs}:/work/outputs")
    assert in_container(command, "id", "-u").split() == ["10001"]
    said = in_container(command, "prune-sweep", "method=importance", "storage.root=/work/outputs")
    assert "report: /work/outputs" in said
    assert len(list(ResultStore(outputs).results.glob("[!.]*/result.json"))) == 6
    head = ("ray", "start", "--head", "--block", "--num-cpus=0", "--object-store-memory=100000000")
    becomes_healthy(podman, image, "http://127.0.0.1:8265/api/gcs_healthz", *head, "--disable-usage-stats")


def test_image_of_mlflow_serves_without_root_on_a_read_only_file_system(podman: list[str]) -> None:
    image = build(podman, "mlflow")
    server = ("mlflow", "server", "--host=127.0.0.1", "--port=5000", "--workers=1", "--app-name=basic-auth")
    places = ("--backend-store-uri=sqlite:////tmp/mlflow.db", "--artifacts-destination=/tmp/artifacts")
    secrets = ("-e", "MLFLOW_AUTH_ADMIN_PASSWORD=of-this-test-alone", "-e", "MLFLOW_FLASK_SERVER_SECRET_KEY=the-same")
    # Its accounts are in a file of the folder where it is started, unless a configuration says otherwise.
    options = (*secrets, "--workdir=/tmp")
    becomes_healthy(podman, image, "http://127.0.0.1:5000/health", *server, *places, options=options)


def build(podman: list[str], target: str) -> str:
    """Build a target of the Dockerfile, print its size, and give its name."""
    image = f"localhost/prune-sweep-{target}"
    run(
        *podman, "build", "--isolation=chroot", "--network=host", "--layers=false", *as_pip_is_here(),
        "--format", "docker",  # the other one has no health checks
        "--file", "docker/Dockerfile", "--target", target, "--build-arg", f"PYTHON_IMAGE={BASE}", "--tag", image, ".",
    )  # fmt: skip
    size = run(*podman, "image", "inspect", "--format={{.Size}}", image)
    print(f"the image {target} takes {int(size) / 1e9:.2f} GB")
    return image


def confined(podman: list[str], image: str, *options: str) -> list[str]:
    """A command line that runs what follows it in a container with almost no rights."""
    rights = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none")
    limits = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--tmpfs", "/tmp:rw,mode=1777")
    return [*podman, "run", "--rm", *rights, *limits, "--cgroups=disabled", *options, image]


def becomes_healthy(podman: list[str], image: str, url: str, *command: str, options: tuple[str, ...] = ()) -> None:
    """Run the command in a container until the health check of its image succeeds, which asks `url`."""
    _, *check = json.loads(run(*podman, "image", "inspect", "--format={{json .HealthCheck.Test}}", image))
    script = f'"$@" & for _ in $(seq {HEALTHY_S}); do {shlex.join(check)} 2> /dev/null && exit 0; sleep 1; done; exit 1'
    asked = confined(podman, image, "-e", f"HEALTH_URL={url}", *options)
    in_container(asked, "sh", "-c", f"{{ {script}; }} 2>&1", "sh", *command)


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
    """What a command prints; its error output where it fails."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout
