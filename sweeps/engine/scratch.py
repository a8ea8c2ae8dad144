"""Temporary files of workers, made by TensorFlow and other libraries. Nobody removes those of a killed worker."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

from sweeps.machines import ray_internals


def use_folder_of_ray() -> None:
    """Put this worker's temporary files into the folder of Ray's session, which is removed when Ray ends.

    A Ray that sweeps join does not end: there, the next worker that starts removes what dead workers have left.
    """
    use(Path(ray_internals.this_node().get_session_dir_path()) / "temporary")


def use(folder: Path) -> None:
    """Put the temporary files of this process, and of those that it starts, into a folder of its own there."""
    own = folder / str(os.getpid())
    own.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other.name.isdecimal() and not psutil.pid_exists(int(other.name)):
            shutil.rmtree(other, ignore_errors=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)
