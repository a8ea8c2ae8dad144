"""The engine on a real Ray with trivial work: order, caching, failures, losses, searches, signals."""

import json
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from sweeps.config import ComputeSettings, StorageSettings
from sweeps.engine import ray_session, run_plan, tune
from sweeps.engine.driver_node import DriverNode
from sweeps.engine.events import Announcer
from sweeps.engine.tune_state import Run
from sweeps.engine.work_queue import WorkQueue
from sweeps.engine.work_searcher import NoWorkersError
from sweeps.engine.worker import Procedures
from sweeps.specs import BaselineSpec, Failure, Plan, Result, SearchSpec, Work
from sweeps.store import ResultStore
from sweeps.store.remote import Remote
from sweeps.store.shared import SharedStore
from tests.helpers import trivial_work as trivial

COMPUTE = ComputeSettings(num_cpus=2, num_gpus=1)


class Recorder:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.results: dict[str, Result] = {}
        self.failures: dict[str, Failure] = {}
        self.notes: list[tuple[str, float, str]] = []

    def started(self, work: Work) -> None:
        self.events.append(("started", work.key))

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        self.notes.append((work.key, fraction, note))

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        self.events.append(("cached" if cached else "finished", work.key))
        self.results[work.key] = result

    def failed(self, failure: Failure) -> None:
        self.events.append((failure.status, failure.work.key))
        self.failures[failure.work.key] = failure

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.events)


@pytest.fixture(scope="module")
def ray_of_two():
    """One Ray with two processors and a GPU that is only a number."""
    with ray_session.connected(COMPUTE, 0) as slots:
        assert slots == 2
        yield


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    store = ResultStore(tmp_path)
    store.prepare()
    return store


def execute(plan: Plan, store: ResultStore, **compute):
    recorder = Recorder()
    storage = StorageSettings(store.root, store.root / "data")
    settings = SimpleNamespace(compute=replace(COMPUTE, **compute), storage=storage)
    outcome = run_plan(plan, settings, store, [recorder], Procedures(trivial.load, trivial.prepare, trivial.run))
    return outcome, recorder


def commit(store: ResultStore, key: str, kind: str = "trial", **metrics: float) -> None:
    with store.writing(key) as folder:
        store.commit(folder, Result(key, kind, {}, metrics))


def test_trials_follow_their_own_baseline_which_is_trained_once(ray_of_two, store):
    slow, quick = trivial.baseline("slow", until="quick-3"), trivial.baseline("quick")
    trials = [trivial.trial(f"{b.key}-{i}", b, sleep=0.05) for b in (slow, quick) for i in range(4)]
    outcome, heard = execute(trivial.plan(*trials), store)
    assert (outcome.finished, outcome.cached, outcome.failures, outcome.interrupted) == (10, 0, (), 0)
    when = {(key, event): seconds for key, event, seconds, _ in trivial.notes(store.root)}
    assert Counter(key for key, event, *_ in trivial.notes(store.root) if event == "start") == Counter(
        ["slow", "quick", *(t.key for t in trials)]
    )
    for t in trials:
        assert when[t.key, "start"] > when[t.baseline.key, "end"]
    assert when["quick-3", "end"] < when["slow", "end"]
    assert heard.results["slow-0"].metrics["total"] == 45  # the dataset arrived
    assert ("slow", 1.0, "done") in heard.notes
    # Warm workers: two processes did everything, each of them several pieces.
    assert len({pid for *_, pid in trivial.notes(store.root)}) == 2


def test_what_is_in_the_store_is_announced_and_not_done(ray_of_two, store):
    full, partly, unused = (trivial.baseline(name) for name in ("full", "partly", "unused"))
    trials = [trivial.trial(f"{b.key}-{i}", b) for b in (full, partly, unused) for i in range(2)]
    commit(store, "full", "baseline")
    for key in ("full-0", "full-1", "partly-0", "unused-0", "unused-1"):
        commit(store, key)
    outcome, heard = execute(trivial.plan(*trials), store)
    assert {key for key, *_ in trivial.notes(store.root)} == {"partly", "partly-1"}
    assert (outcome.finished, outcome.cached) == (2, 6)
    assert sorted(key for event, key in heard.events if event == "cached") == [
        "full", "full-0", "full-1", "partly-0", "unused-0", "unused-1"
    ]  # fmt: skip


def test_nothing_missing_starts_no_ray(store):
    b = trivial.baseline("b")
    commit(store, "b", "baseline")
    commit(store, "t")
    unreachable = {"address": "127.0.0.1:1"}
    outcome, _ = execute(trivial.plan(trivial.trial("t", b)), store, **unreachable)
    assert (outcome.finished, outcome.cached) == (0, 2)


def test_a_bug_is_reported_once_with_its_traceback_and_stops_nothing_else(ray_of_two, store):
    b = trivial.baseline("b")
    good = [trivial.trial(f"good{i}", b) for i in range(3)]
    what = {"bad": "fail", "refused": "refuse", "silent": "forget"}
    bad = [trivial.trial(name, b, **{what[name]: True}) for name in what]
    outcome, heard = execute(trivial.plan(*bad, *good), store)
    assert outcome.finished == 4
    assert {f.work.key: f.status for f in outcome.failures} == dict.fromkeys(["bad", "refused", "silent"], "failed")
    assert heard.failures["bad"].reason == "ValueError: a bug in bad"
    assert "trivial_work.py" in heard.failures["bad"].traceback
    assert heard.failures["refused"].reason == "this cannot be: change it"
    assert "no intact result" in heard.failures["silent"].reason
    starts = Counter(key for key, event, *_ in trivial.notes(store.root) if event == "start")
    assert (starts["bad"], starts["refused"], heard.failures["bad"].attempts) == (1, 1, 1)


def test_a_failed_baseline_blocks_what_needs_it_and_nothing_else(ray_of_two, store):
    broken, sound = trivial.baseline("broken", fail=True), trivial.baseline("sound")
    trials = [trivial.trial(f"{b.key}-{i}", b) for b in (broken, sound) for i in range(2)]
    outcome, heard = execute(trivial.plan(*trials), store)
    assert outcome.finished == 3
    assert [(f.work.key, f.status, f.attempts) for f in outcome.failures] == [
        ("broken", "failed", 1), ("broken-0", "blocked", 0), ("broken-1", "blocked", 0)
    ]  # fmt: skip
    assert broken.label in heard.failures["broken-0"].reason
    assert "a bug in broken" in heard.failures["broken-0"].reason


def test_work_of_a_killed_worker_is_done_again_elsewhere(ray_of_two, store):
    b = trivial.baseline("b", die=1)
    outcome, heard = execute(trivial.plan(trivial.trial("t", b), trivial.trial("twice", b, die=2)), store)
    assert (outcome.finished, outcome.failures) == (3, ())
    pids = {
        key: [pid for k, event, _, pid in trivial.notes(store.root) if (k, event) == (key, "start")]
        for key in heard.results
    }
    assert [len(set(pids[key])) for key in ("b", "t", "twice")] == [2, 1, 3]
    assert heard.events.count(("started", "twice")) == 3


def test_work_that_always_kills_its_worker_is_lost_after_the_retries(ray_of_two, store):
    b = trivial.baseline("b")
    outcome, _ = execute(trivial.plan(trivial.trial("deadly", b, die=9), trivial.trial("t", b)), store, max_retries=1)
    assert outcome.finished == 2
    (failure,) = outcome.failures
    assert (failure.work.key, failure.status, failure.attempts) == ("deadly", "lost", 2)
    assert failure.reason.startswith("its worker on 127.0.0.1 died: ")
    assert "common causes" not in failure.reason


def test_whatever_work_raises_is_its_own_failure_and_said_once(ray_of_two, store):
    """Also an error that is not an Exception and would end a worker, one without a text, one with terminal codes."""
    b = trivial.baseline("b")
    trials = [trivial.trial(f"t-{name}", b, raises=name) for name in trivial.RAISED]
    outcome, heard = execute(trivial.plan(*trials), store, max_retries=2)
    assert {f.work.key: (f.status, f.attempts) for f in outcome.failures} == {t.key: ("failed", 1) for t in trials}
    reasons = {key.removeprefix("t-"): failure.reason for key, failure in heard.failures.items()}
    assert {name for name, reason in reasons.items() if reason.startswith(name)} == {
        "KeyboardInterrupt", "GeneratorExit", "CancelledError", "SystemExit", "RecursionError"
    }  # fmt: skip
    assert reasons["SystemExit"] == "SystemExit: 3"
    assert "StopIteration" in reasons["StopIteration"]
    assert reasons["mute"] == "_Mute: it cannot say what it is about"
    assert reasons["coloured"] == "ValueError: [red]of layer[/] a/b :x:\ufffd ok"
    for failure in heard.failures.values():
        assert "trivial_work.py" in failure.traceback
        assert failure.traceback.replace("\n", "").replace("\t", "").isprintable()


def test_a_worker_that_dies_says_by_what_and_its_last_words_are_kept(ray_of_two, store):
    b = trivial.baseline("b")
    trials = [trivial.trial(f"t-{name}", b, ends=name) for name in trivial.ENDS]
    outcome, heard = execute(trivial.plan(*trials), store, max_retries=0)
    assert {f.work.key: f.status for f in outcome.failures} == {t.key: "lost" for t in trials}
    for name in trivial.ENDS:
        failure = heard.failures[f"t-{name}"]
        assert {"exit": "os._exit(3)"}.get(name, name) in failure.reason
        assert failure.traceback.startswith(f"last words of t-{name}\n")
        assert failure.traceback.count("last words") == 1
    assert "in string_at" in heard.failures["t-SIGSEGV"].traceback
    assert 'trivial_work.py", line' in heard.failures["t-exit"].traceback


def test_a_full_disk_ends_the_run_and_with_room_again_it_goes_on(ray_of_two, tmp_path):
    mount = shutil.which("mount")
    small = ("-t", "tmpfs", "-o", "size=1m", "none", tmp_path)
    if os.geteuid() or not mount or subprocess.run([mount, *small], check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        store = ResultStore(tmp_path)
        store.prepare()
        b = trivial.baseline("b")
        good = trivial.trial("good", b)
        # The big one ends when the good one is done. The long ones would never end: they are ended.
        big = trivial.trial("big", b, bytes=2 * 2**20, until="good")
        plan = trivial.plan(good, big, *(trivial.trial(f"t{i}", b, sleep=600) for i in range(9)))
        outcome, heard = execute(plan, store)
        assert outcome.halted.startswith(f"storage.root={tmp_path} takes no more files (No space left on device)")
        assert (outcome.finished, outcome.failures, outcome.interrupted) == (2, (), 0)
        assert heard.results.keys() == {"b", "good"}
        assert sum(event == "start" for _, event, *_ in trivial.notes(tmp_path)) <= 4
        assert not list(store.results.glob(".*-*"))
        subprocess.run([mount, "-o", "remount,size=4m", tmp_path], check=True)
        outcome, _ = execute(trivial.plan(good, big), store)
        assert (outcome.finished, outcome.cached, outcome.halted) == (1, 2, "")
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_hanging_trial_is_ended_after_the_timeout(ray_of_two, store):
    b = trivial.baseline("b")
    outcome, heard = execute(
        trivial.plan(trivial.trial("hangs", b, sleep=600), trivial.trial("t", b)), store, trial_timeout_s=5.0
    )
    assert outcome.finished == 2
    assert heard.failures["hangs"].status == "failed"
    assert "compute.trial_timeout_s" in heard.failures["hangs"].reason
    assert Counter(key for key, event, *_ in trivial.notes(store.root) if event == "start")["hangs"] == 1


def test_out_of_memory_is_tried_again_alone(ray_of_two, store):
    b = trivial.baseline("b")
    trials = [trivial.trial("big", b, memory=1, sleep=0.3), *(trivial.trial(f"t{i}", b, sleep=0.3) for i in range(4))]
    outcome, _ = execute(trivial.plan(*trials), store)
    assert (outcome.finished, outcome.failures) == (6, ())
    spans = {}
    for key, event, seconds, _ in trivial.notes(store.root):
        spans.setdefault(key, {})[event] = seconds  # the last start, the one end
    big = spans.pop("big")
    assert all(s["end"] <= big["start"] or s["start"] >= big["end"] for s in spans.values())


def test_a_quarter_of_a_gpu_lets_four_run_at_once(ray_of_two, store):
    b = trivial.baseline("b")
    # The first three end only after a fourth that has run beside them.
    trials = [trivial.trial(f"t{i}", b, **({"until": "t3"} if i < 3 else {"sleep": 0.2})) for i in range(8)]
    outcome, _ = execute(trivial.plan(*trials), store, gpus_per_trial=0.25, cpus_per_trial=0.1)
    assert outcome.finished == 9
    events = sorted((seconds, 1 if event == "start" else -1) for key, event, seconds, _ in trivial.notes(store.root))
    running = [sum(step for _, step in events[: i + 1]) for i in range(len(events))]
    assert max(running) == 4


SPACE = {"sparsity": {"low": 0.0, "high": 0.9}}


def search_of(b, n_trials: int, objectives: dict[str, str], ranges=SPACE) -> SearchSpec:
    fixed = {"score": "magnitude", "granularity": "weight", "selection": "fraction"}
    return SearchSpec("search", b, "weight", fixed, ranges, n_trials, objectives, 0, False, {})


@pytest.mark.parametrize(
    "objectives", [pytest.param({"sparsity": "max"}, marks=pytest.mark.slow), {"sparsity": "max", "total": "min"}]
)
def test_optuna_points_are_run_recorded_and_found_again(ray_of_two, store, objectives):
    b = trivial.baseline("b")
    outcome, heard = execute(trivial.plan(searches=(search_of(b, 6, objectives),)), store)
    assert (outcome.finished, outcome.failures) == (7, ())
    record = store.root / "sweeps" / "0123456789ab" / "searches" / "search.jsonl"
    points = [json.loads(line)["sparsity"] for line in record.read_text().splitlines()]
    assert len(set(points)) == 6
    assert sorted(points) == sorted(r.metrics["sparsity"] for r in heard.results.values() if "sparsity" in r.metrics)

    # The same again: everything is found. With more points wanted, the recorded ones are found and only new ones run.
    outcome, _ = execute(trivial.plan(searches=(search_of(b, 6, objectives),)), store)
    assert (outcome.finished, outcome.cached) == (0, 7)
    outcome, _ = execute(trivial.plan(searches=(search_of(b, 9, objectives),)), store)
    assert (outcome.finished, outcome.cached) == (3, 7)
    extended = [json.loads(line)["sparsity"] for line in record.read_text().splitlines()]
    assert extended[:6] == points
    assert len(set(extended)) == 9


def test_a_search_resumes_with_the_points_that_were_not_finished_and_mends_its_record(ray_of_two, store):
    b = trivial.baseline("b")
    record = store.root / "sweeps" / "0123456789ab" / "searches" / "search.jsonl"
    record.parent.mkdir(parents=True)
    record.write_text('{"sparsity": 0.25}\n{"sparsity": 0.5}\n{"spars')
    outcome, _ = execute(trivial.plan(searches=(search_of(b, 4, {"sparsity": "max"}),)), store)
    assert outcome.finished == 5
    points = [json.loads(line)["sparsity"] for line in record.read_text().splitlines()]
    assert points[:2] == [0.25, 0.5]
    assert len(set(points)) == 4


def test_a_search_over_few_values_does_each_once(ray_of_two, store):
    b = trivial.baseline("b")
    ranges = {"sparsity": {"choices": [0.25, 0.5]}}
    outcome, heard = execute(trivial.plan(searches=(search_of(b, 8, {"sparsity": "max"}, ranges),)), store)
    assert outcome.failures == ()
    assert 1 <= outcome.finished - 1 <= 2
    assert len(heard.events) == len(set(heard.events))


def test_when_ray_tune_gives_up_as_a_whole_the_rest_is_done_by_a_fresh_run(store, monkeypatch):
    b = trivial.baseline("b")
    heard = Recorder()
    queue = WorkQueue(trivial.plan(trivial.trial("t", b)), [], store, Announcer([heard]), max_retries=1)
    endings = [RuntimeError("Caught unexpected exception: OutOfMemoryError"), None, None]

    def fit(run):
        work = queue.next()
        ending = endings.pop(0)
        if ending:
            raise ending
        commit(store, work.key, work.kind)
        queue.finished(work.key)

    monkeypatch.setattr(tune, "_fit", fit)
    run = Run(queue, ray_session.Request(1, 0, None), 1, lambda work: None, lambda: 0, None)
    tune.execute(run)
    assert heard.events == [("finished", "b"), ("finished", "t")]


def test_when_ray_tune_gives_up_while_nothing_runs_it_is_started_again_but_not_for_ever(store, monkeypatch):
    queue = WorkQueue(trivial.plan(trivial.trial("t", trivial.baseline("b"))), [], store, Announcer([]), 1)
    runs = []

    def fit(run):
        runs.append(run)
        raise RuntimeError("no")

    monkeypatch.setattr(tune, "_fit", fit)
    with pytest.raises(RuntimeError, match="no"):
        tune.execute(Run(queue, ray_session.Request(1, 0, None), 1, lambda work: None, lambda: 0, None))
    assert 1 < len(runs) < 10


def test_without_workers_everything_is_lost_or_blocked_and_the_run_ends(store, monkeypatch):
    b = trivial.baseline("b")
    heard = Recorder()
    queue = WorkQueue(trivial.plan(trivial.trial("t", b)), [], store, Announcer([heard]), max_retries=1)

    def fit(run):
        raise NoWorkersError("6 workers in a row died while starting")

    monkeypatch.setattr(tune, "_fit", fit)
    tune.execute(Run(queue, ray_session.Request(1, 0, None), 1, lambda work: None, lambda: 0, None))
    assert heard.events == [("lost", "b"), ("blocked", "t")]


def test_a_listener_that_raises_stops_nothing(store):
    class Broken(Recorder):
        def finished(self, work, result, cached):
            raise RuntimeError("no")

    commit(store, "b", "baseline")
    after = Recorder()
    announcer = Announcer([Broken(), after])
    b = trivial.baseline("b")
    WorkQueue(trivial.plan(trivial.trial("t", b)), [], store, announcer, 0)
    assert after.events == [("cached", "b")]


def test_a_store_that_was_away_is_no_fault_of_the_work(ray_of_two, store):
    b = trivial.baseline("b", away=1)
    outcome, heard = execute(trivial.plan(trivial.trial("t", b), trivial.trial("u", b, away=9)), store, max_retries=1)
    assert outcome.finished == 2
    assert (heard.failures["u"].status, heard.failures["u"].reason) == ("lost", "storage.uri cannot be used")
    assert Counter(key for key, event, *_ in trivial.notes(store.root) if event == "start") == {"b": 2, "t": 1, "u": 2}


def test_results_are_where_all_nodes_reach_them(ray_of_two, tmp_path):
    plan = trivial.plan(*(trivial.trial(f"t{i}", trivial.baseline("b")) for i in range(3)))
    for root, expected in ((tmp_path / "one", "finished"), (tmp_path / "other", "cached")):
        store = SharedStore(root, Remote(str(tmp_path / "shared")))
        store.prepare()
        _, heard = execute(plan, store)
        assert heard.count(expected) == len(plan)
        assert store.elsewhere() == {work.key for work in plan}
    assert not trivial.notes(tmp_path / "other")


def test_another_node_gets_what_networks_are_built_from(ray_of_two, tmp_path):
    base = BaselineSpec("b", "data", "model", 0, {}, {"path": "/on/the/driver/my.keras"}, {})
    elsewhere = DriverNode("another node", tmp_path / "cache", {"/on/the/driver/my.keras": ray.put(b"a network")})
    path = Path(elsewhere.placed(base).model_config["path"])
    assert (path.parent, path.suffix, path.read_bytes()) == (tmp_path / "cache/files", ".keras", b"a network")
    assert DriverNode.here(None, []).placed(base) is base


def test_a_result_that_cannot_be_read_is_a_failure_and_no_stall(store, monkeypatch):
    heard = Recorder()
    b = trivial.baseline("b")
    commit(store, "b", "baseline")
    queue = WorkQueue(trivial.plan(trivial.trial("t", b)), [], store, Announcer([heard]), max_retries=0)
    assert queue.next().key == "t"
    (store.results / "t").mkdir()  # without a record, so that it has to be moved aside
    monkeypatch.setattr(
        "sweeps.store.local.os.rename", lambda *names: (_ for _ in ()).throw(PermissionError(13, "denied"))
    )
    queue.finished("t")
    assert queue.done
    assert "cannot be read (denied)" in heard.failures["t"].reason


def test_work_that_was_lost_twice_is_tried_alone(store):
    """The first loss may have any cause; after a second one it may be lack of memory, which Linux does not report."""
    one, other = trivial.baseline("one"), trivial.baseline("other")
    plan = trivial.plan(trivial.trial("t", one), trivial.trial("u", other))
    queue = WorkQueue(plan, [], store, Announcer([]), max_retries=2)
    assert [queue.next(), queue.next()] == [one, other]
    queue.lost("one", "its worker died")
    assert queue.next() == one
    queue.lost("one", "its worker died")
    assert queue.next() is None
    queue.failed("other", "a bug")
    assert queue.next() == one


def test_work_that_is_too_big_even_alone_is_given_up_without_using_up_the_retries(ray_of_two, store):
    b = trivial.baseline("b")
    trials = [trivial.trial("huge", b, memory=9), *(trivial.trial(f"t{i}", b) for i in range(3))]
    outcome, heard = execute(trivial.plan(*trials), store, max_retries=5)
    assert outcome.finished == 4
    failure = heard.failures["huge"]
    assert (failure.status, failure.attempts) == ("lost", 2)
    assert "with nothing beside it" in failure.reason
    assert "Unable to allocate" in failure.reason
    assert "trivial_work.py" in failure.traceback


def test_idle_workers_that_died_cost_the_next_work_no_try(store):
    """Ray's memory monitor may end all idle workers at once: Tune hands work to one after the other."""
    heard = Recorder()
    b = trivial.baseline("b")
    commit(store, "b", "baseline")
    queue = WorkQueue(trivial.plan(trivial.trial("t", b)), [], store, Announcer([heard]), max_retries=0)
    run = Run(queue, ray_session.Request(1, 0, None), 2, lambda work: None, lambda: 0, None)
    for _ in range(2):
        assert queue.next().key == "t"
        run.lost("t", "its worker died", out_of_memory=True)
    assert queue.next().key == "t"
    run.started_at["t"] = 0.0
    run.lost("t", "its worker died", out_of_memory=True)
    assert heard.events[-1] == ("lost", "t")
    assert heard.failures["t"].attempts == 1
