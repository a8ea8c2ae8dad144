"""The phases of a sweep, timed from its events."""

import pytest

from sweeps.engine import Phases
from sweeps.engine import phases as module
from sweeps.specs import BaselineSpec, Result

WORK = BaselineSpec("key", "digits", "mlp", 0, {}, {}, {})


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
    result = Result("key", "baseline", {}, {}, {}, 100.0, 101.0)
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
