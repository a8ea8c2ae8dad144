"""Standard streams that never end a process: code that prints need not check whether anybody still reads.

A reader may go away (`| head`, a terminal that is closed), a log file's disk may be full, a stream may be closed from
the start (`>&-`), and its encoding may lack a character. What cannot be printed is not printed, and the work goes on.
"""

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

_READER_GONE = (errno.EPIPE, errno.ECONNRESET)


def keep_up() -> None:
    """Give this process such standard streams. A stream that somebody has replaced is left as it is."""
    _open_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as long as the process
    sys.stdout = _kept_up(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _kept_up(sys.stderr, sys.__stderr__, 2)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]


def show(text: object, end: str = "\n") -> int:
    """Print the output of a command. Returns the command's exit code: 1 if standard output has no room for it."""
    print(text, end=end, flush=True)
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return 1 if isinstance(raw, _Unfailing) and raw.is_full else 0


def _open_closed_descriptors() -> None:
    """Otherwise the next file or socket gets the number, and a library that prints there writes into it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(number, True)


def _kept_up(stream: TextIO | None, original: TextIO | None, number: int) -> Any:
    if stream is not original or isinstance(getattr(stream, "buffer", None), _Buffer):
        return stream
    encoding, is_line_buffered = "utf-8", number == 2
    if isinstance(stream, io.TextIOWrapper):
        encoding, is_line_buffered = stream.encoding, stream.line_buffering or stream.write_through
        stream.flush()
    buffer = _Buffer(_Unfailing(number, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=is_line_buffered)


class _Buffer(io.BufferedWriter):
    """A type of our own, by which a stream is recognised."""


class _Unfailing(io.FileIO):
    """A descriptor to which writing always succeeds, even if the data are lost."""

    is_full = False

    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:  # somebody has made a shared terminal or pipe non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            self._lost(error)
            return memoryview(data).nbytes

    def _lost(self, error: OSError) -> None:
        if error.errno in _READER_GONE:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, self.fileno())  # libraries in C print there as well
            os.close(silence)
        elif self.fileno() == 1 and not self.is_full:
            self.is_full = True
            print(f"standard output takes no more ({error.strerror}): what is printed is lost", file=sys.stderr)
