"""Shows the plan without running it: `dry_run=true`."""

from sweeps.config.settings import Settings
from sweeps.machines import room_of
from sweeps.plain_text import plain
from sweeps.plan import outlook_of
from sweeps.process import streams
from sweeps.specs import Plan
from sweeps.store import open_store
from sweeps.terminal.plan_text import headline, plan_lines
from sweeps.tracking import resolve


def show_plan(settings: Settings, plan: Plan) -> int:
    """Print the plan; returns the exit code.

    Raises:
        UserError: a trial asks for more than any machine has, a cluster does not answer, a place cannot be used.
    """
    store = open_store(settings.storage)
    ahead = outlook_of(plan, store)
    room = None if settings.compute.target else room_of(settings.compute)
    tracking = resolve(settings.tracking, store.root)
    lines = [*headline(plan, store.place, tracking.shown), *plan_lines(plan, ahead, room)]
    return streams.show(plain("\n".join(lines)))
