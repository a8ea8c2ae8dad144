"""What holds in a fresh process, such as a worker or one that only plans."""

import json
import os
import subprocess
import sys
from typing import Any

_GUARDED = """\
import json, socket, sys
def refuse(*arguments): raise OSError("planning must not use the network")
socket.socket.connect = refuse
arguments = json.loads(sys.argv[1])
{code}
heavy = {{"tensorflow", "keras", "torch", "jax", "sklearn", "pandas"}} & set(sys.modules)
if heavy: sys.exit("imports " + ", ".join(sorted(heavy)) + ": import it inside the function that needs it")
"""


def plans_lightly(code: str, *arguments: Any) -> None:
    """Run what a plan does in a fresh process: it works, without network, and imports nothing that takes seconds.

    Args:
        code: lines of Python; `arguments` is their list.
        arguments: JSON-ready.

    Raises:
        AssertionError: with the last line that the process said.
    """
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", _GUARDED.format(code=code), json.dumps(arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    assert done.returncode == 0, f"in a fresh process: {said[-1] if said else done.returncode}"
