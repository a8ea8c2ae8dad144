"""Whether a tracking database takes runs."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from sweeps.tracking_uri import Target, probe

# Dies in the middle of a transaction that has reached the file already, as a killed driver does.
WRITE_AND_DIE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size=1")
connection.execute("begin")
connection.executemany("insert into numbers values (?)", [("x" * 1000,)] * 1000)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_driver_left_half_written_is_rolled_back(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    connection = sqlite3.connect(file)
    connection.executescript(
        "create table numbers (n text); create table experiments (name text, lifecycle_stage text)"
    )
    connection.close()
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(file)], check=False)
    assert Path(f"{file}-journal").stat().st_size > 0, "nothing was left behind"
    probe(Target(f"sqlite:///{file}", "prune-sweep", None))
    assert sqlite3.connect(file).execute("select count(*) from numbers").fetchone() == (0,)
