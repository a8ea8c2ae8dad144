"""What goes to a cluster with a sweep, and what is refused before anything goes."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from prune_core.errors import UserError
from sweeps.cluster import preflight, upload
from sweeps.cluster.base import Submission
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.tracking import check_shared

CLUSTER = ("compute=ray_jobs", "compute.address=http://head:8265")


def submission(*overrides: str) -> Submission:
    settings = settings_of(compose([*CLUSTER, *overrides]))
    return Submission(settings, make_plan(settings), (*CLUSTER, *overrides))


def test_the_name_is_that_of_the_sweep_whatever_else_is_set() -> None:
    here, there = (
        submission("method=unit"),
        submission("method=unit", "compute.max_retries=5", "storage.root=/elsewhere"),
    )
    assert here.name == there.name == f"prune-sweep-{here.plan.sweep_id}"
    assert submission("method=weight").name != here.name


def test_inside_the_job_it_is_the_same_sweep(tmp_path: Path) -> None:
    outside = submission("method=unit", f"storage.root={tmp_path}")
    inside = settings_of(compose(outside.driver_arguments()))
    assert (inside.compute.target, inside.compute.address) == (None, "auto")
    assert make_plan(inside).sweep_id == outside.plan.sweep_id


@pytest.mark.parametrize(
    "override", ["tracking.uri=http://somebody:secret@host:5000", "storage.uri=s3://key:secret@bucket/folder"]
)
def test_a_password_does_not_travel(override: str) -> None:
    with pytest.raises(UserError) as refusal:
        preflight.check_no_secrets(("method=unit", override))
    assert str(refusal.value).startswith(override.partition("=")[0])
    assert "secret" not in str(refusal.value)


def test_a_database_file_is_refused_on_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tracking in a database file does not work on a cluster"):
        check_shared(submission(f"storage.root={tmp_path}").settings.tracking, tmp_path)
    check_shared(submission("tracking=server", "tracking.uri=http://mlflow:5000").settings.tracking, tmp_path)


def test_results_need_a_place_that_outlives_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="results need a place that outlives the job"):
        preflight.with_storage_there(submission())
    with pytest.raises(UserError, match=r"storage\.root=outputs means another folder on the cluster"):
        preflight.with_storage_there(submission("storage.root=outputs"))
    shared = submission("storage.root=/shared/sweeps")
    assert preflight.with_storage_there(shared) == shared
    with pytest.raises(UserError, match="results need a place that outlives the job"):
        preflight.with_storage_there(submission("storage.root=null"))
    monkeypatch.setenv("HOME", "/here")
    remote = preflight.with_storage_there(submission("storage.uri=s3://bucket/folder"))
    # On the cluster, HOME may hold secrets that are mounted read-only.
    monkeypatch.setenv("HOME", "/run/secrets/home")
    monkeypatch.setenv("XDG_CACHE_HOME", "/tmp/cache")
    there = settings_of(compose(remote.driver_arguments())).storage
    assert (there.root, there.data) == (Path("/tmp/cache/prune-sweep/outputs"), Path("/tmp/cache/prune-sweep"))


def test_code_configuration_and_named_files_travel_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.arange(40) % 4
    np.savez(tmp_path / "my data.npz", x_train=np.random.default_rng(0).random((40, 6, 6)), y_train=labels)
    mine = tmp_path / "conf" / "method" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    header = "# @package methods.mine\n# python sweeps/run.py method=mine\n"
    mine.write_text(f"{header}score: l1_norm\ngranularity: unit\nselection: fraction\ngrid:\n  sparsity: [0.5]\n")
    own_data = ("dataset=npz", f"datasets.npz.path='{tmp_path / 'my data.npz'}'")
    outside = submission("method=mine", f"hydra.searchpath=[file://{tmp_path}/conf]", *own_data)
    there, packed = upload.pack(outside, with_inputs=True)
    names = {name for name in packed.files if not name.startswith(("sweeps/", "prune_core/", "conf/"))}
    assert names == {"origin.json", "searchpath/0/method/mine.yaml", "inputs/datasets.npz.path.npz"}
    assert {Path(name).suffix for name in packed.files} <= {".py", ".yaml", ".json", ".npz"}

    packed.write(tmp_path / "one.zip")
    packed.write(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        archive.extractall(tmp_path / "job")
    monkeypatch.chdir(tmp_path / "job")
    assert make_plan(settings_of(compose(there.driver_arguments()))).sweep_id == outside.plan.sweep_id


def test_too_large_an_upload_names_the_biggest_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "LIMIT", 2 * upload.MIB)
    big = tmp_path / "big.npz"
    big.write_bytes(np.random.default_rng(0).bytes(3 * upload.MIB))
    with pytest.raises(UserError, match=r"the upload has 3 MiB, the cluster takes less than 2 \(.*big.npz 3\)"):
        upload.Upload({"sweeps/run.py": Path(upload.__file__), "inputs/big.npz": big}).write(tmp_path / "upload.zip")
