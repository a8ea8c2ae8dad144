"""PostgreSQL's first start. In a container, its image does this."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from services import Service, StackError

USER = "postgres"
"""The user for PostgreSQL if we are root, because it refuses root. Debian's package makes this user."""


def programs() -> Path:
    """The folder of initdb and postgres: Debian keeps them out of PATH, one folder a version. Raises StackError."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if on_path or found:
        return Path(on_path or found[-1]).parent
    raise StackError("PostgreSQL's programs are not here: install them (Debian: apt-get install postgresql)")


def owner() -> str | None:
    """The user that PostgreSQL has to run as; None: the current user."""
    return None if os.geteuid() else USER


def prepare(service: Service) -> list[str]:
    """Make the database of `service` if it is not there; returns the command line that serves it. Raises StackError."""
    settings = service.environment
    data = Path(settings["PGDATA"])
    if not (data / "PG_VERSION").exists():
        _make(data, settings, service.folder)
    command = service.command()
    # No socket: every connection needs a password.
    return [str(programs() / command[0]), *command[1:], "-D", str(data), "-c", "unix_socket_directories="]


def _make(data: Path, settings: dict[str, str], folder: Path) -> None:
    user = owner()
    if user:
        shutil.chown(data, user, user)
        _let_pass(data, folder, user)
    with tempfile.NamedTemporaryFile("w") as password:  # a copy that `user` can read
        password.write(Path(settings["POSTGRES_PASSWORD_FILE"]).read_text())
        password.flush()
        if user:
            shutil.chown(password.name, user)
        initdb = ["initdb", "-D", str(data), "-U", settings["POSTGRES_USER"], f"--pwfile={password.name}"]
        _run([*initdb, *settings["POSTGRES_INITDB_ARGS"].split(), "--auth-local=scram-sha-256"], user)
    _run(["postgres", "--single", "-D", str(data), "postgres"], user, f"CREATE DATABASE {settings['POSTGRES_DB']}\n")


def _let_pass(data: Path, folder: Path, user: str) -> None:
    """Let `user` pass through the stack's own folders to `data`; folders above them are not changed."""
    for above in data.parents:
        mode = above.stat().st_mode
        if mode & 0o001:
            continue
        if not above.is_relative_to(folder):
            raise StackError(
                f"PostgreSQL runs as {user}, who may not enter {above}: choose another folder with --folder, "
                "or do not start the stack as root"
            )
        above.chmod(mode | 0o011)


def _run(command: list[str], user: str | None, text: str = "") -> None:
    done = subprocess.run(
        [str(programs() / command[0]), *command[1:]], input=text, text=True, cwd="/", user=user, group=user,
        extra_groups=[] if user else None, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise StackError(f"{command[0]} failed: {done.stderr.strip()}")
