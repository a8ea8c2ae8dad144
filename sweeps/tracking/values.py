"""Names and values that MLflow accepts: what it would refuse (odd characters, lengths) is replaced beforehand."""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from sweeps.plain_text import plain
from sweeps.redact import redact
from sweeps.specs import format_value

MAX_NAME = 250
MAX_PARAM = 6000
MAX_TAG = 8000
_ODD = re.compile(r"[^\w\-. :/]", re.ASCII)


def params_of(values: Mapping[str, Any]) -> dict[str, str]:
    return {_name(name): _exactly(value)[:MAX_PARAM] for name, value in values.items()}


def metrics_of(values: Mapping[str, float]) -> dict[str, float]:
    return {_name(name): float(value) for name, value in values.items()}


def tags_of(values: Mapping[str, Any]) -> dict[str, str]:
    return {_name(name): plain(redact(str(value)))[:MAX_TAG] for name, value in values.items()}


def _exactly(value: Any) -> str:
    """Like `format_value`, without rounding: what a searcher proposed must be found again."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_exactly(item) for item in value) + "]"
    return redact(format_value(value))


def _name(name: str) -> str:
    """A name that MLflow takes: no odd characters, no relative paths, at most 250 characters, still unique."""
    clean = _ODD.sub("_", name).strip() or "_"
    if posixpath.normpath(clean) != clean or clean.startswith(("/", "..")) or clean == ".":
        clean = clean.replace("/", "_").replace("..", "__")
        clean = "_" if clean == "." else clean
    if len(clean) > MAX_NAME:
        clean = clean[: MAX_NAME - 9] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return clean
