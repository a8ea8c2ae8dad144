"""Where the time of a sweep went."""

from sweeps.reporting.profile import Line, profile_of, sentence
from sweeps.reporting.results import Row
from sweeps.specs import BaselineSpec, Result

WORK = BaselineSpec("key", "digits", "mlp", 0, {}, {}, {})


def row(seconds: float, cached: bool = False, **spans: float) -> Row:
    return Row(WORK, Result("key", "baseline", {}, {}, {}, 100.0, 100.0 + seconds, spans=spans), cached)


def test_steps_add_up_over_the_workers_and_phases_keep_their_order() -> None:
    rows = [row(5.0, wait=1.0, train=3.0, encode=1.0), row(2.0, encode=2.0), row(50.0, cached=True, train=50.0)]
    assert profile_of(rows, {"start": 3.0, "work": 9.0}) == [
        Line("workers", "train", 3.0, 3 / 8),
        Line("workers", "encode", 3.0, 3 / 8),
        Line("workers", "wait", 1.0, 1 / 8),
        Line("workers", "other", 1.0, 1 / 8),
        Line("driver", "start", 3.0, 0.25),
        Line("driver", "work", 9.0, 0.75),
    ]


def test_it_is_said_in_a_line() -> None:
    lines = profile_of([row(4.0, train=3.0, encode=1.0)], {"start": 3.0, "work": 9.04})
    assert sentence(lines, most=2) == "time: start 3.0 s, work 9.0 s; of the workers' time train 75 %, encode 25 %"
    assert sentence(profile_of([], {"start": 3.0})) == "time: start 3.0 s"
