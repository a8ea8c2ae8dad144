"""Parse untrusted JSON."""

import json
from typing import Any


def parse(content: str | bytes) -> Any:
    """What `content` says. Raises ValueError, and nothing else, for what is not JSON or is nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
