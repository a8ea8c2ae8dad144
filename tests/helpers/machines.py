"""A machine with little memory: a control group of its own, whose limit Ray takes for that of the machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.drivers import wait_for

# The folder of a hierarchy that bounds memory, and the file of a limit: with cgroup 1 and 2.
_HIERARCHIES = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))
_ENTER = 'echo $$ > "$1/cgroup.procs" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


@contextmanager
def machine_with(memory_bytes: int) -> Iterator[list[str]]:
    """The beginning of a command that is run by such a machine; skips where none can be made, which takes root.

    Whatever takes more is killed by Linux, inside this group only.
    """
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("only root can bound the memory of several processes together")
    hierarchy, limit = next((pair for pair in _HIERARCHIES if Path(*pair).exists()), _HIERARCHIES[-1])
    group = Path(hierarchy) / f"prune-sweep-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(memory_bytes))
    except OSError as error:
        pytest.skip(f"no control group that bounds memory can be made ({error})")
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh"]
    try:
        yield [*enter, str(group), hierarchy]
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "the end of all that ran on the machine")
    finally:
        group.rmdir()
