"""The reports of sweeps that have run, as a command: `python sweeps/report.py sweep=latest`."""

import sys
from pathlib import Path

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

if __name__ == "__main__":
    from sweeps.process import surroundings
    from sweeps.reporting.redraw import main

    surroundings.settle()
    sys.exit(main())
