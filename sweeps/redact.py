"""Keeps credentials out of everything that is printed, stored or sent."""

import json
import re
from collections.abc import Mapping
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/\s?#]*@")
_SECRET_QUERY = re.compile(r"((?:password|passwd|token|secret)=)[^&\s]+", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` with the user and password of every address in it replaced by `***`."""
    return _SECRET_QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def redact_all(value: Any) -> Any:
    """`redact` on every string of nested mappings and lists. Tuples become lists."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: redact_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_all(item) for item in value]
    return value


def as_yaml(value: Any) -> str:
    """Plain YAML in the order given, credentials replaced."""
    import yaml

    plain = json.loads(json.dumps(redact_all(value), default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
