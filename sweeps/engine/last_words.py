"""What a worker wrote before it died: from the log of its standard error, which Ray keeps until the sweep ends.

Python's faulthandler writes there, and Ray's own C++ code names the signal. After a SIGKILL there is nothing to read.
"""

import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sweeps.plain_text import plain

MOST_CHARACTERS = 20_000
_BEGINS = "prune-sweep begins: "
_EXITS = "prune-sweep: os._exit"
_OF_RAY = re.compile(r"^(?::job_id:|:actor_name:|:task_name:|\[[^\]]+ E \d+ \d+\] logging\.cc:)")


def begin(work: str) -> None:
    """Mark in the log that everything after this is about this piece of work."""
    print(f"{_BEGINS}{work}", file=sys.stderr, flush=True)


def say_exits() -> None:
    """Make `os._exit`, which ends a process silently, write who has called it. A second call does nothing."""
    leave: Callable[[int], NoReturn] = os._exit
    if hasattr(leave, "said_by"):
        return
    process = os.getpid()

    def exit_with_a_word(status: int) -> NoReturn:
        if os.getpid() == process:  # a forked child normally ends in this way
            stack = "".join(traceback.format_stack(sys._getframe(1)))
            os.write(2, f"{_EXITS}({status}) was called\n{stack}".encode(errors="replace"))
        leave(status)

    exit_with_a_word.said_by = process  # type: ignore[attr-defined]
    os._exit = exit_with_a_word


@dataclass(frozen=True)
class Logs:
    """Where Ray keeps the logs of this node.

    Attributes:
        folder: of the logs.
        address: of the node; on another node, the same process id means another process.
    """

    folder: Path
    address: str


def read(logs: Logs, process: int, address: str) -> str:
    """The last words of a worker about the work during which it died; "" if there are none, or if they are elsewhere.

    Args:
        logs: of this node.
        process: id of the worker's process.
        address: of its node.
    """
    if address != logs.address:
        return ""
    for log in logs.folder.glob(f"worker-*-{process}.err"):
        try:
            text = log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        last = text.rpartition(_BEGINS)[2].partition("\n")[2] if _BEGINS in text else text
        lines = [line for line in plain(last).splitlines() if not _OF_RAY.match(line)]
        return "\n".join(lines).strip()[-MOST_CHARACTERS:]
    return ""


def fate(words: str) -> str:
    """What ended the worker by its last words: a signal's name or a call of `os._exit`; "" if they do not say it."""
    signals = re.findall(r"^\*\*\* (SIG[A-Z]+) received", words, re.MULTILINE)
    errors = re.findall(r"^Fatal Python error: (.*)", words, re.MULTILINE)
    exits = re.findall(rf"^{re.escape(_EXITS)}\((-?\d+)\)", words, re.MULTILINE)
    if signals or errors:
        return ", ".join([*signals[-1:], *(error[0].lower() + error[1:] for error in errors[-1:])])
    return f"its own code called os._exit({exits[-1]})" if exits else ""
