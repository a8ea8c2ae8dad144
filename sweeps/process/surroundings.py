"""The surroundings of a process, changed so that work can go on: streams, locale, warnings, home.

It uses the standard library only: it comes before everything else.
"""

import locale
import os
import stat
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, cast

from prune_core.errors import UserError
from sweeps.process import streams


def settle() -> None:
    """Call it first in each command. May start the process again, once, in Python's UTF-8 mode."""
    streams.keep_up()
    _name_files_in_utf8()
    _let_warnings_be_warnings()
    try:
        _do_without_a_home()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _name_files_in_utf8() -> None:
    """File names in MLflow's addresses are UTF-8 in every locale. Python chooses its encoding when it starts."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.environ.setdefault("PYTHONIOENCODING", locale.getencoding())  # the terminal's encoding stays the same
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _let_warnings_be_warnings() -> None:
    """Ignore PYTHONWARNINGS=error: a warning that is raised inside a library would end work that could go on."""
    kept = [entry for entry in warnings.filters if entry[0] != "error"]
    warnings.resetwarnings()
    cast(list[Any], warnings.filters).extend(kept)
    sys.warnoptions[:] = [option for option in sys.warnoptions if not _raises(option)]
    if "PYTHONWARNINGS" in os.environ:  # for the processes that this one starts
        options = os.environ["PYTHONWARNINGS"].split(",")
        os.environ["PYTHONWARNINGS"] = ",".join(option for option in options if not _raises(option))


def _raises(option: str) -> bool:
    action = option.partition(":")[0].strip()
    return action != "" and "error".startswith(action)


def require_current_folder() -> None:
    """Raise UserError if the folder in which the command was typed has been removed since."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder does not exist any more: change to one that does") from None


def is_utf8(name: str) -> bool:
    """Whether a name that the system gave is UTF-8; other names cannot be kept in a database or an address."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def own_folder() -> Path:
    """A folder of this user's in the temporary folder; what lies there may be removed at any time.

    Raises:
        UserError: it belongs to another user, or there is no temporary folder.
    """
    folder = temporary_folder() / f"prune-sweep-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
        raise UserError(f"{folder} is somebody else's: name another temporary folder in TMPDIR")
    return folder


def temporary_folder() -> Path:
    """The one in TMPDIR, or the system's. Raises UserError if nothing can be written in any of them."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise UserError("no temporary folder can be written: name one in TMPDIR") from None


def home() -> Path | None:
    """The home folder, if there is one in which something can be written."""
    folder = Path(os.path.expanduser("~"))
    return folder if folder.is_absolute() and is_writable(folder) else None


def is_writable(folder: Path) -> bool:
    """Whether the folder exists and a file can be made in it."""
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _do_without_a_home() -> None:
    """A container's user often has no home folder; libraries then put their files into the temporary folder."""
    if home() is not None:
        return
    if not Path(os.path.expanduser("~")).is_absolute():  # no HOME, and no entry in the system's list of users
        os.environ["HOME"] = str(own_folder())
    if "MPLCONFIGDIR" not in os.environ:  # Matplotlib would make a new one for each process, and look at all fonts
        os.environ["MPLCONFIGDIR"] = str(own_folder() / "matplotlib")
