"""The files of docker/ by themselves: what linters and Compose say of them, and what the secrets are like."""

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sweeps.cluster.command import act
from tests.helpers.drivers import ROOT

DOCKER = ROOT / "docker"
BIN = Path(sys.executable).parent
WRITABLE_NOWHERE_ELSE = {"bucket", "account"}
"""Services that write to no file at all."""


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """compose.yaml as Compose reads it, with every profile."""
    settings = {"SWEEP_UID": "1000", "SWEEP_GID": "1000", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [BIN / "docker-compose", "--profile", "*", "-f", DOCKER / "compose.yaml", "config"],
        env=settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.stderr  # its exit code is 0 whatever happens
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize(
    "command",
    [("hadolint", "Dockerfile"), ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")],
    ids=lambda command: command[0],
)
def test_linters_have_nothing_to_say(command: tuple[str, ...]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=DOCKER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_wants_to_be_told_whose_the_files_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [BIN / "docker-compose", "--env-file", os.devnull, "-f", DOCKER / "compose.yaml", "config", "-q"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "make_secrets.py" in done.stderr


def test_every_service_is_confined(compose: dict) -> None:
    for name, service in compose["services"].items():
        assert service["user"] == "1000:1000", name
        assert service["read_only"], name
        assert service["init"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not service.get("cap_add"), name
        assert service.get("tmpfs") or name in WRITABLE_NOWHERE_ELSE, name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())), name
        assert all(network == "front" or compose["networks"][network]["internal"] for network in service["networks"]), (
            name
        )
        assert not any(
            "password" in key.lower() and not key.endswith("_FILE") for key in service.get("environment", ())
        ), name


def test_images_of_others_are_pinned(compose: dict) -> None:
    ours = {service["image"] for service in compose["services"].values() if "build" in service}
    for service in compose["services"].values():
        assert service["image"] in ours or "@sha256:" in service["image"]
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert "ARG PYTHON_IMAGE=python:" in dockerfile
    assert "@sha256:" in dockerfile


@pytest.mark.parametrize("template", ["kuberay/rayjob.yaml", "slurm/sweep.sh"])
def test_templates_are_what_the_command_in_them_prints(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = (DOCKER / template).read_text()
    command = re.findall("^#   (.*)", shown, re.MULTILINE)
    assert act(shlex.split(" ".join(command))[2:]) == 0
    printed = re.sub("(?<=prune-sweep-)[0-9a-f]{12}", "example", capsys.readouterr().out)
    first, rest = printed.replace(str(ROOT), "/shared/prune-sweep").split("\n", 1)
    body = (ROOT / "sweeps" / "cluster" / "slurm_job.sh").read_text().rstrip()
    whole = shown.replace('source "$code/sweeps/cluster/slurm_job.sh"', body)
    assert re.sub(r"(?m)^# A .*\n(# .*\n)+", "", whole) == f"{first}\n{rest}"


def make_secrets(folder: Path, *arguments: str) -> str:
    """What make_secrets.py prints."""
    command = [sys.executable, DOCKER / "make_secrets.py", "--folder", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_secrets_are_made_once_for_their_owner_alone_and_renewed_one_by_one(tmp_path: Path) -> None:
    said = make_secrets(tmp_path)
    files = {path: path.read_text() for path in (tmp_path / "secrets").rglob("*") if path.is_file()}
    assert len(files) == 8
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert not any(text.strip() in said for text in files.values())
    assert "nothing was changed" in make_secrets(tmp_path)
    assert {path: path.read_text() for path in files} == files
    make_secrets(tmp_path, "--renew", "postgres")
    changed = {path.name for path, text in files.items() if path.read_text() != text}
    assert changed == {"postgres_password", "pgpass"}


def test_secrets_and_state_are_out_of_git_and_of_images() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"docker/secrets/", "docker/state/", "docker/.env", "docker/stack-state/"} <= set(ignored)
    build_sees = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert not any("docker" in line for line in build_sees)
