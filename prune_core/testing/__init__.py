"""What each score, schedule, dataset, ... has to keep to, as tests that other packages run on their own.

    # test_mine.py, run by pytest
    from prune_core.testing import ScoreConformance

    class TestMine(ScoreConformance):
        score = "mine"

Each suite is a base class; its attributes say what is tested. What prune-sweep itself brings passes the same suites.
Needs pytest.
"""

from prune_core.testing.datasets import DatasetConformance
from prune_core.testing.granularities import GranularityConformance
from prune_core.testing.methods import MethodConformance
from prune_core.testing.models import ModelConformance
from prune_core.testing.recoveries import RecoveryConformance
from prune_core.testing.schedules import ScheduleConformance
from prune_core.testing.scores import ScoreConformance
from prune_core.testing.selections import SelectionConformance
from prune_core.testing.transforms import TransformConformance

__all__ = [
    "DatasetConformance",
    "GranularityConformance",
    "MethodConformance",
    "ModelConformance",
    "RecoveryConformance",
    "ScheduleConformance",
    "ScoreConformance",
    "SelectionConformance",
    "TransformConformance",
]
