"""The entry point: compose, plan, then show the plan or run the sweep.

    prune-sweep method=importance
    python -m sweeps.run method=importance
    python sweeps/run.py method=importance

Exit code 0: every planned trial is finished; 1: some are not; a table says which and why, or the last line says what
ended the sweep (a full disk, Ray lost); 2: a bad request, nothing was started; 130 or 143: ended by SIGINT or SIGTERM.
Imports happen where they are used, so that a plan is printed at once.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

if TYPE_CHECKING:
    from sweeps.process import Signals


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return the exit code."""
    from prune_core.errors import UserError
    from sweeps.process import GO_ON, Signals

    signals = Signals()
    try:
        with signals:
            return _main(sys.argv[1:] if argv is None else argv, signals)
    except BaseException as error:  # a signal can lead to any exception
        if signals.caught:
            print(f"interrupted: {GO_ON}", file=sys.stderr)
            return 128 + signals.caught
        if isinstance(error, UserError):
            from sweeps.plain_text import plain
            from sweeps.redact import redact

            print(f"error: {plain(redact(str(error)))}", file=sys.stderr)
            return 2
        raise


def command() -> NoReturn:
    """The process `prune-sweep`: run `main` and exit."""
    from sweeps.process import surroundings

    surroundings.settle()
    code = main()
    ray = sys.modules.get("sweeps.engine.ray_session")
    # A person waits, and Python would need seconds to shut down Ray and MLflow. It cannot shut down a lost Ray at all.
    if code > 128 or (ray is not None and ray.ray_was_left()):
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _main(arguments: Sequence[str], signals: "Signals") -> int:
    from sweeps.process import streams, surroundings
    from sweeps.terminal import command_line

    surroundings.require_current_folder()
    if arguments[:1] == ["submit"]:
        from sweeps.cluster import command

        signals.patience_s = None  # the sweep runs elsewhere, and a person may be asked whether to stop it
        return command.act(arguments[1:])
    request = command_line.read(arguments)
    if request.action in ("help", "version"):
        return streams.show(command_line.text() if request.action == "help" else command_line.version())
    from sweeps.config import settings_of
    from sweeps.config.compose import compose

    composed = compose(request.overrides)
    if request.action == "print":
        from sweeps.redact import as_yaml

        return streams.show(as_yaml(composed.config), end="")
    settings = settings_of(composed)
    target = settings.compute.target
    if target is not None and not settings.dry_run:
        from prune_core.errors import UserError

        raise UserError(
            f"compute={target} is submitted, not run here: write submit before the overrides, as in "
            f"prune-sweep submit compute={target}"
        )
    from sweeps.plan import make_plan

    plan = make_plan(settings)
    if settings.dry_run:
        from sweeps.terminal import show_plan

        return show_plan(settings, plan)
    from sweeps.sweep import run_sweep

    return run_sweep(settings, plan, signals)


if __name__ == "__main__":
    command()
