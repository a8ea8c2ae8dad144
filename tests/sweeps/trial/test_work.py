"""What a worker says of a dense network."""

from pathlib import Path

from prune_core import data
from sweeps import trial
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Result
from sweeps.store import ResultStore


def trained(folder: Path, *overrides: str) -> Result:
    small = ["method=weight", "dataset=digits", "model=lenet_300_100", "training.epochs=2", f"storage.root={folder}"]
    settings = settings_of(compose([*small, *overrides]))
    (work,) = make_plan(settings).baselines
    store = ResultStore(folder)
    store.prepare()
    digits = data.load("digits", settings.datasets["digits"], folder)
    for _ in trial.run(work, digits, store):
        pass
    result = store.load(work.key)
    assert result is not None
    return result


def test_a_dense_network_that_only_guesses_is_said_loudly(tmp_path):
    assert "no better than naming one class" in trained(tmp_path, "training.learning_rate=1e-9").tags["warning"]


def test_a_dense_network_that_has_learnt_something_is_not(tmp_path):
    assert "warning" not in trained(tmp_path).tags
