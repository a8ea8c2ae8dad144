"""What a person reads on the terminal."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.terminal.closing import show_end as show_end
    from sweeps.terminal.dry_run import show_plan as show_plan
    from sweeps.terminal.plan_text import headline as headline
    from sweeps.terminal.plan_text import plan_lines as plan_lines
    from sweeps.terminal.plan_text import summary as summary
    from sweeps.terminal.progress import Progress as Progress
    from sweeps.terminal.progress import format_duration as format_duration

_HOMES = {
    "Progress": "progress",
    "format_duration": "progress",
    "headline": "plan_text",
    "plan_lines": "plan_text",
    "show_end": "closing",
    "show_plan": "dry_run",
    "summary": "plan_text",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
