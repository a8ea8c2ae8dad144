"""Make the secrets of the stack, each in a file that only you can read, and the folders of its state.

    python docker/make_secrets.py                  only missing ones; existing ones are not changed
    python docker/make_secrets.py --renew ray      new ones of one kind (see docker/README.md: Rotating secrets)

Prints the names of the files, never their content. Needs only Python.
"""

import argparse
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATE = ("postgres", "object-store", "ray", "work")
"""Folders of the services that keep something."""
USER = "tracking"
"""The user of the database."""


def _ray() -> dict[str, str]:
    return {"ray_token": secrets.token_hex(32)}


def _postgres() -> dict[str, str]:
    password = secrets.token_urlsafe(32)
    return {"postgres_password": password, "pgpass": f"*:*:*:{USER}:{password}\n"}


def _object_store() -> dict[str, str]:
    key, secret = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
    credentials = [{"accessKey": key, "secretKey": secret}]
    identities = [{"name": "mlflow", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]
    return {
        "object_store.json": json.dumps({"identities": identities}),
        "aws_credentials": f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n",
    }


def _mlflow_admin() -> dict[str, str]:
    settings = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": "postgresql+psycopg2:///tracking",
        "admin_username": "admin",
        "admin_password": secrets.token_urlsafe(24),
    }
    return {"mlflow_auth.ini": "[mlflow]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())}


def _mlflow_sweep() -> dict[str, str]:
    names = {"mlflow_tracking_username": "sweep", "mlflow_tracking_password": secrets.token_urlsafe(24)}
    return {"home/.mlflow/credentials": "[mlflow]\n" + "".join(f"{key} = {value}\n" for key, value in names.items())}


def _flask() -> dict[str, str]:
    return {"flask_secret_key": secrets.token_hex(32)}


KINDS: Mapping[str, Callable[[], dict[str, str]]] = {
    "ray": _ray,
    "postgres": _postgres,
    "object-store": _object_store,
    "mlflow-admin": _mlflow_admin,
    "mlflow-sweep": _mlflow_sweep,
    "flask": _flask,
}


def make(folder: Path, renewed: frozenset[str] = frozenset()) -> list[Path]:
    """Write the secrets that `folder` lacks, and those of the kinds `renewed`; returns the files written."""
    written = []
    for kind, content_of in KINDS.items():
        files = {folder / name: content for name, content in content_of().items()}
        if kind in renewed or not all(path.exists() for path in files):
            for path, content in files.items():
                _write(path, content)
            written += files
    return written


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--renew", action="append", default=[], choices=KINDS, help="make new ones of this kind")
    parser.add_argument("--folder", type=Path, default=HERE, help="where secrets, state and .env go (default docker)")
    arguments = parser.parse_args()
    written = make(arguments.folder / "secrets", frozenset(arguments.renew))
    for name in STATE:
        (arguments.folder / "state" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    # Containers run as you, so that they can read files that only you can read.
    _write(arguments.folder / ".env", f"SWEEP_UID={os.getuid()}\nSWEEP_GID={os.getgid()}\n")
    print("\n".join(str(path) for path in written) or "all secrets are there: nothing was changed")


if __name__ == "__main__":
    main()
