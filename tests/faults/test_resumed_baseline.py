"""A dense network whose worker was killed between two epochs."""

from dataclasses import replace

import numpy as np

from prune_core import data, models
from prune_core.training import EpochCheckpoint, epochs
from sweeps import trial
from sweeps.specs import BaselineSpec
from sweeps.store import ResultStore
from sweeps.store.remote import Remote
from sweeps.store.shared import SharedStore
from tests.helpers.disk import traced
from tests.helpers.drivers import SWEEP, planned


def half_trained(work: BaselineSpec, loaded: data.Dataset, store: ResultStore) -> None:
    """What is left of a worker that is killed after the first of two epochs; an accuracy of 0.125 marks that epoch."""
    info = loaded.info
    model = models.build(work.model, work.model_config, info.input_shape, info.classes, work.seed)
    next(epochs(model, loaded, work.training, work.seed, checkpoint=EpochCheckpoint(store.checkpoint(work.key), 0)))
    with np.load(store.checkpoint(work.key)) as saved:
        arrays = dict(saved)
    arrays["history"] = np.array('[{"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.125}]')
    np.savez(store.checkpoint(work.key), **arrays)


def test_goes_on_after_the_last_epoch_saved_and_comes_to_the_same(tmp_path):
    (work,) = planned(*SWEEP).baselines
    loaded = data.load(work.dataset, work.dataset_config, tmp_path)
    disturbed, undisturbed = ResultStore(tmp_path / "one"), ResultStore(tmp_path / "two")
    disturbed.prepare()
    undisturbed.prepare()
    half_trained(work, loaded, disturbed)
    with traced() as trace:
        notes = [note for _, note in trial.run(work, loaded, disturbed)]
    assert notes[0] == "epoch 1/2 val_accuracy 0.1250"
    # The network is on the disk before its checkpoint is removed.
    done = ("name", disturbed.folder(work.key)), ("sync", disturbed.results), ("remove", disturbed.checkpoint(work.key))
    assert trace.steps(*done) == sorted(trace.steps(*done))
    assert not trace.early
    for _ in trial.run(work, loaded, undisturbed):
        pass
    one, two = disturbed.load(work.key), undisturbed.load(work.key)
    assert one is not None
    assert two is not None
    assert one.metrics == two.metrics
    assert not list(disturbed.results.glob(".*"))


def test_goes_on_on_a_machine_that_shares_nothing_but_storage_uri(tmp_path):
    (work,) = planned(*SWEEP).baselines
    loaded = data.load(work.dataset, work.dataset_config, tmp_path)
    lost, other = (SharedStore(tmp_path / name, Remote(str(tmp_path / "shared"))) for name in ("lost", "other"))
    lost.prepare()
    other.prepare()
    half_trained(work, loaded, lost)
    lost.remote.put(lost.checkpoint(work.key), f"checkpoints/{work.key}.npz")
    notes = [note for _, note in trial.run(work, loaded, other)]
    assert notes[0] == "epoch 1/2 val_accuracy 0.1250"
    assert other.remote.names("checkpoints") == set()
    assert other.elsewhere() == {work.key}


def test_another_network_does_not_take_its_state(tmp_path):
    (work,) = planned(*SWEEP).baselines
    loaded = data.load(work.dataset, work.dataset_config, tmp_path)
    store = ResultStore(tmp_path / "one")
    store.prepare()
    half_trained(work, loaded, store)
    notes = [note for _, note in trial.run(replace(work, key="another"), loaded, store)]
    assert notes[0] != "epoch 1/2 val_accuracy 0.1250"
    assert store.checkpoint(work.key).exists()
