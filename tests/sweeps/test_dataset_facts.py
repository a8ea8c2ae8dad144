"""What a plan remembers of its datasets, and what is done where a record does not say it."""

from dataclasses import replace

import numpy as np
import pytest

from prune_core import data
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.dataset_facts import facts_of
from sweeps.plan import make_plan
from sweeps.specs import BaselineSpec
from sweeps.trial.result import record_of


@pytest.fixture
def baseline(tmp_path) -> BaselineSpec:
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 4, 4), dtype=np.float32), np.arange(60) % 3
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y)
    (planned,) = make_plan(
        settings_of(compose(["method=weight", "dataset=npz", f"datasets.npz.path={tmp_path}/mine.npz", "seeds=[0]"]))
    ).baselines
    return planned


def test_the_plan_remembers_what_the_dataset_is(baseline, monkeypatch):
    info = data.describe(baseline.dataset, baseline.dataset_config)
    monkeypatch.setattr(data, "describe", None)  # nothing may ask again
    facts = facts_of(baseline)
    assert facts is not None
    assert (facts.input_shape, facts.classes, facts.fingerprint) == (info.input_shape, 3, info.fingerprint)
    assert facts.sizes == info.sizes
    assert facts.fingerprint == baseline.fingerprints["dataset"]


def test_a_result_remembers_it_too(baseline, monkeypatch):
    monkeypatch.setattr(data, "describe", None)
    assert facts_of(BaselineSpec(**record_of(baseline))) == facts_of(baseline)


def test_where_a_record_does_not_say_it_the_data_are_described(baseline, tmp_path):
    old = replace(baseline, facts={})
    assert facts_of(old) == facts_of(baseline)
    assert old == baseline
    moved = {**baseline.dataset_config, "path": str(tmp_path / "not there.npz")}
    assert facts_of(replace(old, dataset_config=moved)) is None
