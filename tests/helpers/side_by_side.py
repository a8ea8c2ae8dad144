"""The ordinary tests as two processes for two cores: one without Ray, ports and servers beside all others.

    python -m tests.helpers.side_by_side -m "not slow"

What the first prints is shown when both have ended.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence

_OF_SWEEPS = ("config", "plan", "process", "store", "trial")
QUIET = tuple(f"tests/{folder}" for folder in ("prune_core", *(f"sweeps/{name}" for name in _OF_SWEEPS)))
"""Folders whose tests take one core and share no fixture with others, whose sweeps often wait for Ray to start."""


def main(arguments: Sequence[str]) -> int:
    """Run pytest twice with `arguments`, which name no tests; the higher exit code."""
    pytest = [sys.executable, "-m", "pytest", *arguments]
    others = [f"--ignore={folder}" for folder in QUIET]
    print(f"{', '.join(QUIET)}: these run beside all others, and are shown at the end", flush=True)
    with tempfile.TemporaryFile("w+") as said:
        cache = ["-o", "cache_dir=.pytest_cache/quiet"]
        with subprocess.Popen([*pytest, *QUIET, *cache], stdout=said, stderr=subprocess.STDOUT) as quiet:
            try:
                code = subprocess.run([*pytest, *others], check=False).returncode
                quiet.wait()
            finally:
                quiet.terminate()
        said.seek(0)
        print(said.read(), end="", flush=True)
    return max(code, abs(quiet.returncode))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
