"""Where the time of a sweep went."""

import pytest

from sweeps.reporting import profile as module
from sweeps.reporting.profile import Line, Phases, profile, sentence
from sweeps.reporting.results import Row
from sweeps.specs import BaselineSpec, Result

WORK = BaselineSpec("key", "digits", "mlp", 0, {}, {}, {})


def row(seconds: float, cached: bool = False, **spans: float) -> Row:
    return Row(WORK, Result("key", "baseline", {}, {}, {}, 100.0, 100.0 + seconds, spans=spans), cached)


def test_steps_add_up_over_the_workers_and_phases_keep_their_order() -> None:
    rows = [row(5.0, wait=1.0, train=3.0, encode=1.0), row(2.0, encode=2.0), row(50.0, cached=True, train=50.0)]
    assert profile(rows, {"start": 3.0, "work": 9.0}) == [
        Line("workers", "train", 3.0, 3 / 8),
        Line("workers", "encode", 3.0, 3 / 8),
        Line("workers", "wait", 1.0, 1 / 8),
        Line("workers", "other", 1.0, 1 / 8),
        Line("driver", "start", 3.0, 0.25),
        Line("driver", "work", 9.0, 0.75),
    ]


def test_it_is_said_in_a_line() -> None:
    lines = profile([row(4.0, train=3.0, encode=1.0)], {"start": 3.0, "work": 9.04})
    assert sentence(lines, most=2) == "time: start 3.0 s, work 9.0 s; of the workers' time train 75 %, encode 25 %"
    assert sentence(profile([], {"start": 3.0})) == "time: start 3.0 s"


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_phases_follow_the_events_of_a_sweep(clock: Clock) -> None:
    phases = Phases()
    result = row(1.0).result
    for now, event in [
        (1, lambda: phases.finished(WORK, result, cached=True)),
        (10, lambda: phases.started(WORK)),
        (12, lambda: phases.started(WORK)),
        (30, lambda: phases.finished(WORK, result, cached=False)),
        (33, phases.stopped),
        (33, lambda: phases.enter("deliver")),
        (34, lambda: phases.enter("report")),
    ]:
        clock.now = float(now)
        event()
    clock.now = 36.5
    assert phases.seconds == {"start": 10.0, "work": 20.0, "stop": 3.0, "deliver": 1.0, "report": 2.5}
    assert phases.metrics["seconds.work"] == 20.0


def test_a_sweep_with_nothing_to_do_has_no_work(clock: Clock) -> None:
    phases = Phases()
    phases.stopped()
    clock.now = 2.0
    phases.enter("deliver")
    assert phases.seconds == {"start": 2.0, "deliver": 0.0}
