"""Printing into a closed pipe, onto a full disk or in ASCII: the process goes on, and its exit code is its own."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BEGIN = "import os, sys; from sweeps.process import streams; streams.keep_up()\n"
MUCH = "for _ in range(3): print('x' * 100_000, flush=True)\n"
END = "os.write(int(sys.argv[1]), b'end'); sys.exit(3)"


def run(code: str, redirect: str = "", **environment: str) -> tuple[int, str, str, str]:
    """(exit code, standard output, standard error, what the code has written at its end)."""
    read, write = os.pipe()
    command = f'"$@" {redirect}'
    done = subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-c", BEGIN + code + END, str(write)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        pass_fds=[write],
        timeout=60,
        check=False,
    )
    os.close(write)
    with open(read, "rb") as file:
        return done.returncode, done.stdout.decode(), done.stderr.decode(), file.read().decode()


IN_A_THREAD = """
def much():
    for _ in range(3): print('x' * 100_000, flush=True)
import threading; thread = threading.Thread(target=much); thread.start(); thread.join()
"""


@pytest.mark.parametrize("code", [MUCH, IN_A_THREAD], ids=["main thread", "other thread"])
def test_a_reader_that_has_gone(code: str) -> None:
    assert run(code, "| head -c 1; exit ${PIPESTATUS[0]}") == (3, "x", "", "end")


def test_a_reader_of_errors_that_has_gone() -> None:
    code = "for _ in range(3): print('x' * 100_000, file=sys.stderr, flush=True)\n"
    assert run(code, "2>&1 >/dev/null | head -c 1; exit ${PIPESTATUS[0]}") == (3, "x", "", "end")


def test_rich_is_not_ended_either() -> None:
    code = "from rich.console import Console; c = Console(); [c.print('x' * 70) for _ in range(1200)]\n"
    assert run(code, "| head -c 1; exit ${PIPESTATUS[0]}") == (3, "x", "", "end")


def test_no_room_is_said_once() -> None:
    code, _, errors, end = run(MUCH, "> /dev/full")
    assert (code, end) == (3, "end")
    assert errors == "standard output takes no more (No space left on device): what is printed is lost\n"
    assert run(MUCH, "> /dev/full 2> /dev/full") == (3, "", "", "end")


def test_what_a_command_is_for_and_has_no_room_is_a_failure() -> None:
    code = "sys.exit(streams.show('the plan'))\n"
    assert run(code)[:2] == (0, "the plan\n")
    assert run(code, "> /dev/full")[0] == 1
    assert run(code, ">&-")[0] == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    """A file that is opened later does not take the place of a closed stream and receive what is printed."""
    file = tmp_path / "file"
    code = f"f = open({str(file)!r}, 'w'); print('out'); print('err', file=sys.stderr); os.system('echo sub')\n"
    code += "assert sys.stdin.read() is not None; f.write('mine'); f.close()\n"
    assert run(code, f"{closed} {'' if '<' in closed else '</dev/null'}")[::3] == (3, "end")
    assert file.read_text() == "mine"


def test_signs_that_the_encoding_lacks() -> None:
    code, out, errors, _ = run("print('± ─'); print('±', file=sys.stderr)\n", PYTHONIOENCODING="ascii")
    assert (code, out, errors) == (3, "\\xb1 \\u2500\n", "\\xb1\n")


def test_a_pipe_that_does_not_wait_gets_everything() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    got: list[bytes] = []

    def drain() -> None:
        with open(read, "rb") as file:
            got.append(file.read())

    process = subprocess.Popen([sys.executable, "-c", BEGIN + MUCH], cwd=ROOT, stdout=write)
    os.close(write)
    reader = threading.Thread(target=drain)
    reader.start()
    assert process.wait(60) == 0
    reader.join()
    assert got == [b"".join([b"x" * 100_000 + b"\n"] * 3)]


def test_each_line_is_there_at_once_where_that_is_asked_for() -> None:
    code = "import subprocess; print('first'); subprocess.run(['echo', 'second'])\n"
    assert run(code, PYTHONUNBUFFERED="1")[1] == "first\nsecond\n"


def test_streams_that_somebody_has_replaced_stay(capsys: pytest.CaptureFixture) -> None:
    from sweeps.process import streams

    before = sys.stdout, sys.stderr
    streams.keep_up()
    assert (sys.stdout, sys.stderr) == before
