"""What a person reads while a sweep runs."""

import io

import pytest

from sweeps.specs import Failure, Result
from sweeps.terminal import Progress, format_duration
from sweeps.terminal.progress import Clock
from tests.helpers import trivial_work as trivial

BASELINE = trivial.baseline("net")
PLAN = trivial.plan(*(trivial.trial(f"t{i}", BASELINE) for i in range(4)))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def result(seconds: float = 1.5, warning: str = "", **metrics: float) -> Result:
    return Result("k", "trial", {}, metrics, {"warning": warning} if warning else {}, 100.0, 100.0 + seconds)


def test_piped_each_finished_piece_of_work_is_a_line():
    out = io.StringIO()
    with Progress(PLAN, stream=out) as progress:
        progress.started(BASELINE)
        progress.progressed(BASELINE, 0.5, "epoch 1/2")
        progress.finished(BASELINE, result(accuracy=0.95), cached=False)
        progress.finished(PLAN.trials[0], result(0.25, accuracy=0.9, sparsity=0.5), cached=True)
        progress.failed(Failure(PLAN.trials[1], "failed", "ValueError: [red]a bug[/red]"))
    assert out.getvalue().splitlines() == [
        "training net on data, seed 0",
        "1/5 net on data, seed 0: accuracy 0.9500, 1.5 s",
        "2/5 method name=t0 net data seed 0: accuracy 0.9000, sparsity 0.500, 0.2 s, cached",
        "failed method name=t1 net data seed 0: ValueError: [red]a bug[/red]",
    ]


def test_many_cached_results_are_counted_not_listed():
    plan = trivial.plan(*(trivial.trial(f"t{i}", BASELINE) for i in range(30)))
    out = io.StringIO()
    with Progress(plan, stream=out) as progress:
        for trial in plan.trials:
            progress.finished(trial, result(), cached=True)
    assert out.getvalue().splitlines() == ["30 results were there already"]


def test_warnings_are_printed_on_a_terminal_and_elsewhere():
    for out in (io.StringIO(), Terminal()):
        with Progress(PLAN, stream=out) as progress:
            progress.finished(PLAN.trials[0], result(warning="a whole layer died"), cached=False)
        assert "a whole layer died" in out.getvalue()
        assert "warning" in out.getvalue()


def test_of_many_warnings_the_first_are_printed():
    out = io.StringIO()
    with Progress(PLAN, stream=out) as progress:
        progress.finished(PLAN.trials[0], result(warning="a dead; b dead; c dead; d dead; e dead"), cached=False)
    assert out.getvalue().endswith("a dead; b dead; c dead; and 2 more, listed in the report\n")


def test_a_terminal_gets_one_live_line_and_what_is_being_trained():
    out = Terminal()
    with Progress(PLAN, stream=out) as progress:
        progress.started(BASELINE)
        progress.progressed(BASELINE, 0.3, "epoch 3/10 val_accuracy 0.91")
        progress.finished(PLAN.trials[0], result(accuracy=0.9), cached=True)
        progress._live.refresh()
    assert "1 of 5 done  1 running  0 failed  1 cached" in out.getvalue()
    assert "training net on data, seed 0: epoch 3/10 val_accuracy 0.91" in out.getvalue()
    assert "1/5" not in out.getvalue()
    assert out.getvalue().endswith("1 of 5 done, 0 failed, 1 cached: on to MLflow and the report\n")


def test_time_left_is_reckoned_by_kind_and_by_what_runs_at_once():
    clock = Clock(PLAN, slots=2)
    assert clock.seconds_left({}, 0.0) is None
    clock.done(BASELINE, 10.0)
    assert clock.seconds_left({}, 0.0) is None  # nothing is known of trials yet
    clock.done(PLAN.trials[0], 4.0)
    assert clock.seconds_left({}, 0.0) == pytest.approx(3 * 4.0 / 2)
    assert clock.seconds_left({"t1": (PLAN.trials[1], 5.0)}, 8.0) == pytest.approx((3 * 4.0 - 3.0) / 2)
    clock.running(3)
    clock.done(PLAN.trials[1], None)  # cached: says nothing about time
    assert clock.seconds_left({}, 0.0) == pytest.approx(2 * 4.0 / 2)  # two are left: no more than two at once
    clock.done(PLAN.trials[2], 4.0)
    clock.done(PLAN.trials[3], 4.0)
    assert clock.seconds_left({}, 0.0) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text
