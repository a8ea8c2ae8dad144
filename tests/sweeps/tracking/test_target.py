"""Whether a tracking database takes runs, and where it is."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from sqlalchemy.engine import make_url

from prune_core.errors import UserError
from sweeps.config import TrackingSettings, override
from sweeps.config.compose import compose
from sweeps.tracking import Target, newest_sweep, probe, resolve
from sweeps.tracking.runs import SweepRuns
from sweeps.tracking.target import sqlite_uri

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


ODD = [
    "job%2Fbranch",
    "a%20b?c",
    "h#h",
    "ü☃",
    "semi;amp&eq=",
    "q'u\"o",
    "back\\slash\\",
    "~t",
    "[1]{2}",
    "nl\nx",
    "${home}",
    "%",
]


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_every_name_of_a_folder_is_read_as_it_was_written(name: str) -> None:
    file = Path("/data") / name / "mlflow.db"
    uri = sqlite_uri(file)
    assert make_url(uri).database == str(file)
    assert Target(uri, "prune-sweep", None).sqlite_file == file


@pytest.mark.parametrize("name", ["".join(ODD[:5]), "".join(ODD[5:]), "%"])
def test_all_addresses_stay_inside_the_storage_root(name: str, tmp_path: Path, empty_database: Path) -> None:
    root = tmp_path / name
    root.mkdir()
    (tmp_path / "masks.npz").write_bytes(b"masks")
    shutil.copy(empty_database, root / "mlflow.db")
    target = resolve(TrackingSettings(), root)
    probe(target)
    again = resolve(TrackingSettings(uri=target.uri), tmp_path / "elsewhere")
    assert again.uri == target.uri, "as the printed command has it"
    runs = SweepRuns(target, "0123456789ab")
    runs.open_parent("a sweep", {}, {}, "config", 0.0)
    runs.close_parent("FINISHED", {"masks.npz": tmp_path / "masks.npz"}, {})
    client = MlflowClient(target.uri)
    assert len(list(root.rglob("masks.npz"))) == 1
    assert Path(client.download_artifacts(runs.parent_id, "masks.npz", str(tmp_path))).read_bytes() == b"masks"
    assert {path.name for path in tmp_path.iterdir()} == {name, "masks.npz"}
    place = newest_sweep(target, root / "mlflow.db")
    assert place is not None
    assert place[0].parent_id == runs.parent_id


@pytest.mark.parametrize("name", ODD)
def test_an_override_holds_any_name(name: str) -> None:
    assert compose([override("storage.root", f"/data/{name}")]).config["storage"]["root"] == f"/data/{name}"


def test_a_question_mark_in_an_address_is_not_dropped() -> None:
    with pytest.raises(UserError, match=r"has options after the \?, which are not used: leave them out, and write %3F"):
        resolve(TrackingSettings(uri="sqlite:////data/a?b/mlflow.db"), Path("outputs"))


def test_a_folder_for_artifacts_becomes_an_address() -> None:
    target = resolve(TrackingSettings(artifact_location="/data/a%20b?c"), Path("outputs"))
    assert target.artifact_location == "file:///data/a%2520b%3Fc"
    assert resolve(TrackingSettings(artifact_location="s3://b/a"), Path("outputs")).artifact_location == "s3://b/a"
