"""The stopwatch, on a clock that the test turns."""

from collections.abc import Iterator

import pytest

from prune_core.measure import Stopwatch, stopwatch


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def time(self) -> float:
        return 1000.0 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def test_steps_add_up_by_name(clock: Clock) -> None:
    watch = Stopwatch()
    for seconds in (1.0, 2.0):
        with watch.step("load"):
            clock.now += seconds
        clock.now += 10
    watch.add({"load": 4.0, "wait": 8.0})
    assert watch.seconds == {"load": 7.0, "wait": 8.0}
    assert watch.started_at == 1000.0


def test_a_step_that_fails_counts(clock: Clock) -> None:
    watch = Stopwatch()

    def load() -> None:
        with watch.step("load"):
            clock.now += 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        load()
    assert watch.seconds == {"load": 1.0}


def test_of_a_loop_only_the_making_counts(clock: Clock) -> None:
    def epochs() -> Iterator[int]:
        for number in range(3):
            clock.now += 1
            yield number
        clock.now += 0.5  # work after the last item

    watch = Stopwatch()
    seen = []
    for number in watch.each("train", epochs()):
        clock.now += 100
        seen.append(number)
    assert seen == [0, 1, 2]
    assert watch.seconds == {"train": 3.5}
