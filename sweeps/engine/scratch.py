"""Temporary files of workers: TensorFlow's and other libraries', which nobody removes once a worker is killed."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

from sweeps.machines import ray_internals


def use_folder_of_ray() -> None:
    """From now on this worker's temporary files lie in the folder of Ray's session, which goes when Ray ends.

    A Ray that sweeps join does not end: there, what dead workers have left is removed by the next one that starts.
    """
    use(Path(ray_internals.this_node().get_session_dir_path()) / "temporary")


def use(folder: Path) -> None:
    """From now on this process and those that it starts have their temporary files in a folder of their own there."""
    own = folder / str(os.getpid())
    own.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other.name.isdecimal() and not psutil.pid_exists(int(other.name)):
            shutil.rmtree(other, ignore_errors=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)
