"""A trial whose worker was killed while the pruned network was fine-tuned, once or in several steps."""

import shutil
from pathlib import Path

import pytest

from prune_core import data
from prune_core.training import EpochCheckpoint
from sweeps import trial
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Plan, Result, TrialSpec
from sweeps.store import ResultStore
from sweeps.store.remote import Remote
from sweeps.store.shared import SharedStore

SMALL = [
    "dataset=digits",
    "model=lenet_300_100",
    "training=fast",
    "training.epochs=1",
    "training.finetune.epochs=3",
    "measure.latency=false",
    "method=weight",
    "sparsities=[0.9]",
    "recovery=finetune",
]
STEPS = ["methods.weight.schedule=iterative", "methods.weight.steps=2"]


class _Hasty(ResultStore):
    """Saves the state after every epoch."""

    def training_state(self, key: str) -> EpochCheckpoint:
        return EpochCheckpoint(self.checkpoint(key), every_s=0)


def begin(folder: Path, *overrides: str) -> tuple[Plan, data.Dataset]:
    settings = settings_of(compose([*SMALL, f"storage.root={folder}", *overrides]))
    return make_plan(settings), data.load("digits", settings.datasets["digits"], folder)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a store that holds the dense network and nothing else."""
    root = tmp_path_factory.mktemp("baseline")
    plan, digits = begin(root)
    store = ResultStore(root)
    store.prepare()
    for _ in trial.run(plan.baselines[0], digits, store):
        pass
    return root


def copy_of(baseline: Path, root: Path, kind: type[ResultStore] = ResultStore) -> ResultStore:
    shutil.copytree(baseline, root)
    return kind(root)


def finished(work: TrialSpec, digits: data.Dataset, store: ResultStore) -> tuple[Result, list[str]]:
    notes = [note for _, note in trial.run(work, digits, store)]
    result = store.load(work.key)
    assert result is not None
    return result, notes


@pytest.mark.parametrize(("overrides", "epochs"), [((), 3), (STEPS, 6)], ids=["once", "in two steps"])
def test_it_goes_on_and_comes_to_the_same_bit_for_bit(
    overrides: tuple[str, ...], epochs: int, baseline: Path, tmp_path: Path
) -> None:
    plan, digits = begin(tmp_path, *overrides)
    (work,) = plan.trials
    quiet = copy_of(baseline, tmp_path / "quiet")
    expected, all_notes = finished(work, digits, quiet)
    assert sum("finetune, epoch" in note for note in all_notes) == epochs
    for seen in {1, epochs - 2}:
        killed = copy_of(baseline, tmp_path / f"killed-{seen}", _Hasty)
        steps = trial.run(work, digits, killed)
        for _ in range(seen):
            while "finetune, epoch" not in next(steps)[1]:
                pass
        del steps  # what a SIGKILL leaves: the files, and no clean-up of the trial's own
        assert list(killed.results.glob(f".{work.key}.part-*.npz"))
        again, _ = finished(work, digits, ResultStore(killed.root))
        assert again.metrics == expected.metrics
        assert again.key == expected.key
        for name in ("network.pruned", "masks.npz"):
            assert (killed.folder(work.key) / name).read_bytes() == (quiet.folder(work.key) / name).read_bytes()


def test_what_it_saved_is_gone_when_it_is_finished(baseline: Path, tmp_path: Path) -> None:
    plan, digits = begin(tmp_path, *STEPS)
    store = copy_of(baseline, tmp_path / "store", _Hasty)
    finished(plan.trials[0], digits, store)
    assert not list(store.results.glob(".*.npz"))


def test_parts_of_a_training_have_names_of_their_own_at_a_shared_store(tmp_path: Path) -> None:
    store = SharedStore(tmp_path / "here", Remote(str(tmp_path / "shared")))
    store.prepare()
    parts = [store.training_state("key").part(number) for number in (1, 2)]
    assert len({part.file for part in parts}) == 2
    for number, part in enumerate(parts, start=1):
        part._every_s = 0
        part.save([], [{"loss": 1.0}] * number)
    assert store.remote.names("checkpoints") == {"key.part-1.npz", "key.part-2.npz"}
    whole = store.training_state("key")
    elsewhere = SharedStore(tmp_path / "there", store.remote)
    elsewhere.prepare()
    assert len(elsewhere.training_state("key").part(2).restore([])) == 2
    for number in (1, 2):
        whole.part(number)
    whole.remove_parts()
    assert store.remote.names("checkpoints") == set()
