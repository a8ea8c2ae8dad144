"""A sweep that is killed while MLflow is away: drawn and delivered later, without running anything."""

import shutil
from pathlib import Path

import pytest

from sweeps.engine.orphans import clear, folder_of
from sweeps.report import main
from tests.helpers.drivers import SWEEP, Driver, client_of, finished_keys, planned
from tests.helpers.light import journal
from tests.helpers.servers import free_port

PLAN = planned(*SWEEP)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """storage.root of a killed sweep, with some of the results."""
    root = tmp_path_factory.mktemp("killed") / "outputs"
    away = f"tracking.uri=http://127.0.0.1:{free_port()}"
    with Driver(root, (*SWEEP, "tracking=server", away, "tracking.on_unreachable=queue"), LIGHT_SECONDS="1") as driver:
        driver.kill_after(results=3, seconds=0)
        clear(folder_of(root / "sweeps" / PLAN.sweep_id))
    return root


def runs_of(root: Path, uri: str) -> dict[str, str]:
    """{key, or "" for the sweep's own: status} of all runs."""
    client = client_of(root, uri)
    runs = client.search_runs([client.get_experiment_by_name("prune-sweep").experiment_id])
    found = {run.data.tags.get("trial.key", run.data.tags.get("baseline.key", "")): run.info.status for run in runs}
    assert len(found) == len(runs)
    return found


def test_what_waits_is_delivered_once_and_nothing_is_run(killed, tmp_path, capsys):
    done, lines = finished_keys(killed), len(journal(killed))
    assert len(done) >= 3
    status = "KILLED" if len(done) < len(PLAN) else "FINISHED"
    here = f"storage.root={killed}"
    assert main([here]) == 0
    assert (killed / "sweeps" / PLAN.sweep_id / "report.html").exists()
    assert main(["deliver", here]) == 1
    assert "nothing is delivered" in capsys.readouterr().out
    uri = f"sqlite:///{tmp_path}/later.db"
    for new, known in ((len(done), 0), (0, len(done))):
        assert main(["deliver", here, f"tracking.uri={uri}"]) == 0
        assert capsys.readouterr().out.endswith(f"{new} delivered to {uri}, {known} were there, 0 wait\n")
        assert runs_of(killed, uri) == {"": status, **dict.fromkeys(done, "FINISHED")}
    assert len(journal(killed)) == lines

    lost = next(killed.glob("artifacts/*/artifacts/masks.npz"))
    content = lost.read_bytes()
    lost.write_bytes(b"")
    assert main(["deliver", here, f"tracking.uri={uri}"]) == 0
    told = capsys.readouterr()
    assert "1 run did not hold what is in the store" in told.err
    assert told.out.endswith(f"0 delivered to {uri}, {len(done)} were there, 0 wait\n")
    assert lost.read_bytes() == content


def test_a_sweep_that_cannot_be_planned_again_is_named(killed, tmp_path, capsys):
    root = shutil.copytree(killed, tmp_path / "outputs")
    record = root / "sweeps" / PLAN.sweep_id / "sweep.json"
    record.write_text(record.read_text().replace("sparsities=[0.2,0.5,0.8]", "sparsities=[0.2,0.5]"))
    assert main(["deliver", f"storage.root={root}"]) == 2
    assert f"error: sweep {PLAN.sweep_id}: its data or this program have changed" in capsys.readouterr().err
