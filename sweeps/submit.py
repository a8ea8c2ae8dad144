"""Submits sweeps to clusters, follows, stops and lists them. The thin entry: the work is done in `sweeps.cluster`.

    prune-sweep submit compute=ray_jobs compute.address=http://head:8265 method=importance
    python sweeps/submit.py status compute=ray_jobs compute.address=http://head:8265 method=importance

Overrides and exit codes are those of `sweeps/run.py`; a sweep that is followed to its end gives its own exit code.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return the exit code."""
    from sweeps import run

    return run.main(["submit", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    from sweeps.process import surroundings

    surroundings.settle()
    sys.exit(main())
