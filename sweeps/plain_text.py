"""Removes from foreign text (exceptions, warnings, names) everything that would control a terminal."""

import re

# ECMA-48: sequences that end with a letter, strings that end with ST or BEL, and the short ones.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# The other control characters, and characters that reverse the direction of writing.
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NOT_ENCODABLE = re.compile(r"[\ud800-\udfff]")


def plain(text: str) -> str:
    """The text in printable form: lines and tabs stay, control sequences and control characters are removed."""
    text = _LINE_ENDS.sub("\n", _SEQUENCES.sub("", text))
    return _NOT_ENCODABLE.sub("\ufffd", _CONTROLS.sub("", text))
