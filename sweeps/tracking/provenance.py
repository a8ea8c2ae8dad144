"""Who ran what from where: the tags that allow a person to repeat a run."""

import getpass
import json
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

ORIGIN = "origin.json"
"""File beside the package, in the folder of a job, that tells who submitted it from which commit."""
VERSIONS_OF = ("tensorflow", "keras", "numpy", "ray", "mlflow", "prune-sweep")
_OF_ORIGIN = ("mlflow.user", "mlflow.source.git.commit", "mlflow.source.git.dirty")
_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Tags in MLflow's own names where it has them: user, source, git commit and dirty flag; versions.

    Costs two calls of git the first time, and no heavy import.
    """
    file = Path(__file__).resolve()
    return {
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": Path(sys.argv[0] or "python").name,
        **_git(file),
        **_origin(file.parents[2] / ORIGIN),
        "version.python": platform.python_version(),
        **{f"version.{name}": version for name in VERSIONS_OF if (version := _version(name))},
    }


def origin() -> str:
    """The content of the file `ORIGIN` for a job that is submitted from here."""
    return json.dumps({name: value for name, value in provenance().items() if name in _OF_ORIGIN})


def _origin(file: Path) -> dict[str, str]:
    try:
        tags = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    return {name: str(tags[name]) for name in _OF_ORIGIN if name in tags}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"


def _git(file: Path) -> dict[str, str]:
    """The commit of the checkout that `file` belongs to; {} for an installed one, also inside another checkout."""
    folder = file.parent
    if _git_output(folder, "ls-files", "--error-unmatch", file.name) is None:
        return {}
    commit = _git_output(folder, "rev-parse", "HEAD")
    changes = _git_output(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return {}
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(bool(changes)).lower()}


def _git_output(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str:
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""
