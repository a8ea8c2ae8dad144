"""What holds for all tests: the same examples of Hypothesis in every run, and a garbage collector that stays quick."""

import gc

import pytest
from hypothesis import settings

# Without a time limit: a test that passes also passes on a busy machine.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Libraries and collected tests are never garbage: to look through them takes 0.3 s, at least once in every trial.

    A worker does the same, see `sweeps.trial.work.prepare`.
    """
    if not session.config.option.collectonly:
        gc.collect()
        gc.freeze()
