"""Delivers results to MLflow, each exactly once."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.tracking.database import check as check
    from sweeps.tracking.datasets import DatasetRecord as DatasetRecord
    from sweeps.tracking.datasets import dataset_record as dataset_record
    from sweeps.tracking.environment import prepare_environment as prepare_environment
    from sweeps.tracking.health import probe as probe
    from sweeps.tracking.links import sweep_link as sweep_link
    from sweeps.tracking.links import trials_link as trials_link
    from sweeps.tracking.links import ui_base as ui_base
    from sweeps.tracking.links import ui_command as ui_command
    from sweeps.tracking.newest import newest_sweep as newest_sweep
    from sweeps.tracking.places import check_shared as check_shared
    from sweeps.tracking.places import default_target as default_target
    from sweeps.tracking.provenance import ORIGIN as ORIGIN
    from sweeps.tracking.provenance import origin as origin
    from sweeps.tracking.sweep_run import sweep_name as sweep_name
    from sweeps.tracking.target import Place as Place
    from sweeps.tracking.target import Target as Target
    from sweeps.tracking.target import Unreachable as Unreachable
    from sweeps.tracking.target import resolve as resolve
    from sweeps.tracking.tracker import Tracker as Tracker

_HOMES = {
    "DatasetRecord": "datasets",
    "ORIGIN": "provenance",
    "Place": "target",
    "Target": "target",
    "Tracker": "tracker",
    "Unreachable": "target",
    "check": "database",
    "check_shared": "places",
    "dataset_record": "datasets",
    "default_target": "places",
    "newest_sweep": "newest",
    "origin": "provenance",
    "prepare_environment": "environment",
    "probe": "health",
    "resolve": "target",
    "sweep_link": "links",
    "sweep_name": "sweep_run",
    "trials_link": "links",
    "ui_base": "links",
    "ui_command": "links",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
