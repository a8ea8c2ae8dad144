"""The results of a sweep: kept, compared, drawn, and shown as tables."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.reporting.files import write_files as write_files
    from sweeps.reporting.profile import profile_of as profile_of
    from sweeps.reporting.profile import sentence as sentence
    from sweeps.reporting.record import RECORD_FILE as RECORD_FILE
    from sweeps.reporting.record import SweepRecord as SweepRecord
    from sweeps.reporting.record import load_record as load_record
    from sweeps.reporting.record import recorded as recorded
    from sweeps.reporting.record import rows_of as rows_of
    from sweeps.reporting.redraw import draw_again as draw_again
    from sweeps.reporting.redraw import first_time as first_time
    from sweeps.reporting.redraw import keep_record as keep_record
    from sweeps.reporting.redraw import markdown_tables as markdown_tables
    from sweeps.reporting.results import UNCHANGED as UNCHANGED
    from sweeps.reporting.results import Choice as Choice
    from sweeps.reporting.results import Collector as Collector
    from sweeps.reporting.results import Group as Group
    from sweeps.reporting.results import Row as Row
    from sweeps.reporting.results import aggregates as aggregates
    from sweeps.reporting.results import choices as choices
    from sweeps.reporting.results import groups as groups
    from sweeps.reporting.results import ranked as ranked

_HOMES = {
    "Choice": "results",
    "Collector": "results",
    "Group": "results",
    "RECORD_FILE": "record",
    "Row": "results",
    "SweepRecord": "record",
    "UNCHANGED": "results",
    "aggregates": "results",
    "choices": "results",
    "draw_again": "redraw",
    "first_time": "redraw",
    "groups": "results",
    "keep_record": "redraw",
    "load_record": "record",
    "markdown_tables": "redraw",
    "profile_of": "profile",
    "ranked": "results",
    "recorded": "record",
    "rows_of": "record",
    "sentence": "profile",
    "write_files": "files",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
