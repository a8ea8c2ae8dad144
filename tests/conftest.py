"""What holds for all tests: the same examples of Hypothesis in every run, and a garbage collector that stays quick."""

import gc

import pytest
from hypothesis import settings

# Without a clock: what passes, passes on a busy machine as well.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Libraries and collected tests stay: to look through them takes 0.3 s, once and more in every trial.

    A worker does the same, see `sweeps.trial.work.prepare`.
    """
    if not session.config.option.collectonly:
        gc.collect()
        gc.freeze()
