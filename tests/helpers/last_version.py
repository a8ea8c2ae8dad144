"""A storage root as the last version left it, see tests/data/README.md."""

import hashlib
import sqlite3
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parents[1] / "data" / "last_version.tar.xz"
RECORDED_AT = "/tmp/recorded/outputs"
COMMAND = (
    "method=[importance,weight,unit,threshold,cluster,rvsm,random]",
    "model=lenet_300_100",
    "models.lenet_300_100.hidden=[8,6]",
    "debug=quick",
    "training.epochs=20",
    "training.finetune.epochs=1",
    "methods.weight.grid.recovery=[none,finetune]",
    "methods.weight.grid.n_clusters=[null,4]",
)
"""What it was made with, except `storage.root`."""
N_TRIALS = 10
# Columns of MLflow's tables that hold a path.
_COLUMNS = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}
# Not `MLmodel`: the digest of a logged model covers it, and nothing uses the path in it.
_TEXTS = ("sweeps/*/sweep.json", "artifacts/*/artifacts/config.yaml")


def unpack(root: Path) -> None:
    """Unpack the archive into `root` (absolute, only letters, digits, _ and -), as if it had been recorded there."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    for pattern in _TEXTS:
        for file in root.glob(pattern):
            file.write_text(file.read_text().replace(RECORDED_AT, str(root)))
    with sqlite3.connect(root / "mlflow.db") as database:
        for table, column in {**_COLUMNS, "tags": "value"}.items():
            database.execute(f"update {table} set {column} = replace({column}, ?, ?)", (RECORDED_AT, str(root)))
    database.close()
    # A sweep has one list of what is delivered for each database; the last version named it like this.
    (ledger,) = root.glob("sweeps/*/delivered-*.jsonl")
    assert ledger.name == _ledger_name(Path(RECORDED_AT))
    ledger.rename(ledger.with_name(_ledger_name(root)))


def _ledger_name(root: Path) -> str:
    digest = hashlib.sha256(f"sqlite:///{root}/mlflow.db prune-sweep".encode()).hexdigest()[:8]
    return f"delivered-{digest}.jsonl"
