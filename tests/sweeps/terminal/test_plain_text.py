"""Text from elsewhere on a terminal: what remains of it."""

import io

import pytest

from sweeps.plain_text import plain
from sweeps.specs import Failure
from sweeps.terminal import Progress
from tests.helpers import trivial_work as trivial


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07b\x1b]8;;http://x\x1b\\c", "bc"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1bP1q#0\x1b\\d\x1bcreset", "dreset"),
        ("\x9b2Ja\x9dtitle\x9cb", "ab"),
        ("10 %\r20 %\r\nend", "10 %\n20 %\nend"),
        ("a\x08b\x07c\x00d\x7fe\x85f", "abcde\nf"),
        ("gpj\u202eexe", "gpjexe"),
        ("tab\tand \udcff, 12 µm, 日本, \U0001f44d\u200d", "tab\tand \ufffd, 12 µm, 日本, \U0001f44d\u200d"),
    ],
)
def test_control_sequences_go_and_words_stay(text, left):
    assert plain(text) == left
    assert plain(left) == left


def test_a_failure_is_printed_as_it_was_said():
    """Neither markup nor names of emoji are interpreted, and nothing reaches the terminal as a command."""
    work = trivial.baseline("evil\x1b[2J[bold]")
    for terminal in (False, True):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        with Progress(trivial.plan(baselines=(work,)), stream=stream) as progress:
            progress.failed(Failure(work, "failed", "[/red] [red]a [/] :warning: \\[b] \x1b]0;t\x07end\x1b[8m"))
        assert "evil[bold] on data, seed 0: [/red] [red]a [/] :warning: \\[b] end" in stream.getvalue()
        assert "\x1b]0" not in stream.getvalue()
        assert "\x1b[8m" not in stream.getvalue()
