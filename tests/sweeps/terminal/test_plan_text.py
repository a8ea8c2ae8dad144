"""The printed plan: what is cached, what is to do, how long it may take."""

from pathlib import Path

import keras
import pytest

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.machines import Room
from sweeps.plan import make_plan, outlook_of
from sweeps.specs import Plan, Result, Work
from sweeps.store import ResultStore
from sweeps.terminal import format_duration, headline, plan_lines
from sweeps.terminal.plan_text import MOST_LINES


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    store = ResultStore(tmp_path)
    store.prepare()
    return store


def plan(*overrides: str) -> Plan:
    return make_plan(settings_of(compose(["dataset=digits", "model=lenet_300_100", *overrides])))


def finish(store: ResultStore, work: Work, seconds: float) -> None:
    """Put a result that took `seconds` into the store."""
    baseline = work if work.kind == "baseline" else work.baseline
    params = {"model": baseline.model, "dataset": baseline.dataset}
    if work.kind == "trial":
        params["method"] = work.method
    with store.writing(work.key) as folder:
        store.commit(folder, Result(work.key, work.kind, params, {}, started_at=100.0, ended_at=100.0 + seconds))


TWO_AT_ONCE = Room(slots=2, machines=1, idle_cpus=0, cpus=2, idle_gpus=0, gpus=0)


def text(got: Plan, store: ResultStore, room: Room | None = TWO_AT_ONCE) -> str:
    return "\n".join(plan_lines(got, outlook_of(got, store), room))


def test_an_empty_store_knows_no_times_but_a_guess(store: ResultStore) -> None:
    got = plan("thresholds=[0.5,1]")
    guess = format_duration(max(1, outlook_of(got, store).seconds(slots=2)))
    assert text(got, store) == "\n".join(
        [
            "",
            "dense networks",
            "  train       lenet_300_100 on digits, seed 0",
            "trials",
            "  run         importance threshold=0.5 lenet_300_100 digits seed 0",
            "  run         importance threshold=1 lenet_300_100 digits seed 0",
            "",
            "to do: 1 baseline to train, 2 trials to run, up to 2 at once; 0 trials cached",
            f"time: about {guess} once the workers are up, judging by the number of multiplications, very roughly",
        ]
    )


def test_a_store_that_was_never_made_is_empty(tmp_path: Path) -> None:
    assert "0 trials cached" in text(plan(), ResultStore(tmp_path / "nowhere"))


def test_what_is_finished_is_cached_and_gives_the_estimate(store: ResultStore) -> None:
    got = plan("thresholds=[0.25,0.5,1]", "seeds=[0,1]")
    first = got.trials[0]
    finish(store, first.baseline, 20)
    finish(store, first, 4)
    ahead = outlook_of(got, store)
    assert ahead.cached == {first.key, first.baseline.key}
    assert len(ahead.to_train) == 1
    assert len(ahead.to_run) == 5
    assert ahead.seconds(slots=1) == 20 + 5 * 4
    assert ahead.seconds(slots=2) == 24  # the second baseline and one of its trials come one after the other
    printed = text(got, store)
    assert "  cached      importance threshold=0.25 lenet_300_100 digits seed 0" in printed
    assert "to do: 1 baseline to train, 5 trials to run, up to 2 at once; 1 trial cached" in printed
    assert "time: about 24 s once the workers are up, judging by past runs" in printed


def test_the_median_of_several_past_runs_counts(store: ResultStore) -> None:
    got = plan("thresholds=[0.25,0.5,0.75,1]")
    for trial, seconds in zip(got.trials, [1, 2, 30], strict=False):
        finish(store, trial, seconds)
    assert dict(outlook_of(got, store).estimates) == {got.trials[3].key: 2}
    assert "judging by past runs and the number of multiplications, very roughly" in text(got, store)


def test_a_baseline_whose_trials_are_all_there_is_not_needed(store: ResultStore) -> None:
    got = plan("thresholds=[0.5]")
    finish(store, got.trials[0], 1)
    printed = text(got, store)
    assert "  not needed  lenet_300_100 on digits, seed 0" in printed
    assert "time: nothing is left to do" in printed


def test_a_damaged_record_does_not_stop_the_plan(store: ResultStore) -> None:
    got = plan("thresholds=[0.5,1]")
    finish(store, got.trials[0], 1)
    (store.folder(got.trials[0].key) / "result.json").write_text("{")
    assert outlook_of(got, store).estimates == {}


def test_a_large_plan_is_cut_short(store: ResultStore) -> None:
    got = plan("method=weight", f"sparsities={[i / 1000 for i in range(500)]}".replace(" ", ""))
    lines = text(got, store).splitlines()
    assert f"  ... and {500 - MOST_LINES} more" in lines
    assert len(lines) < MOST_LINES + 15


def test_searches_and_clusters_are_told(store: ResultStore) -> None:
    printed = text(plan("search=optuna", "search.n_samples=9"), store, room=None)
    assert "  9 trials    importance over threshold for val_accuracy max, sparsity max" in printed
    assert "9 trials to run, as many at once as the cluster has room for" in printed


def test_the_first_line_says_where_results_go(tmp_path: Path) -> None:
    got = plan("method=[unit,weight]", "sparsities=[0.5]")
    first, second = headline(got, tmp_path, "sqlite:///x/mlflow.db")
    assert first == f"results go to {tmp_path}, MLflow runs to sqlite:///x/mlflow.db"
    assert second == f"sweep {got.sweep_id}: 2 trials of unit, weight on 1 dense network"


def test_the_first_lines_say_how_little_of_a_network_a_method_reaches(tmp_path: Path) -> None:
    layers = keras.layers
    inner = [layers.Reshape((8, 8)), layers.Bidirectional(layers.LSTM(16, name="lstm"), name="both")]
    outer = [layers.Dense(32, name="hidden"), layers.Dense(10, name="output")]
    keras.Sequential([keras.Input((8, 8, 1)), *inner, *outer]).save(tmp_path / "net.keras")
    network = ("model=keras_file", f"models.keras_file.path={tmp_path}/net.keras", "sparsities=[0.5,0.6]")
    _, _, *remarks = headline(plan("method=[unit,weight]", *network), tmp_path, "sqlite:///x/mlflow.db")
    # hidden 32 * 32 of 2 * (24 * 64 + 64) + 33 * 32 + 33 * 10
    assert [remark for remark in remarks if "reaches" in remark] == [
        "models.keras_file: unit reaches no more than 22.3 % of the network's 4,586 weights: it leaves wrappers, "
        "recurrent and attention layers, embeddings and the like whole"
    ]
    lists = "sparsities=[[0.1,0.2,0.3,0.4,0.5]]"
    assert plan("method=weight", *network[:2], lists).trials[0].parameters["sparsity"] == [0.1, 0.2, 0.3, 0.4, 0.5]
