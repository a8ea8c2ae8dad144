"""The token of a Ray cluster: one shared secret, which every machine and client reads from a file.

Ray reads RAY_AUTH_MODE, RAY_AUTH_TOKEN_PATH, RAY_AUTH_TOKEN and ~/.ray/auth_token by itself. This file only corrects
what Ray 2.60 does badly with them: it sends no token unless the mode is set as well, ends the process with a C++ trace
if the file is not there, and starts no worker for a driver that has a token on a cluster that has none. Ray itself
writes ~/.ray/auth_token when it is started for one machine alone, so that file says nothing about a cluster.
"""

import os
from pathlib import Path

from prune_core.errors import UserError
from sweeps.machines import ray_internals

REFUSED = "name the file that holds the cluster's token with RAY_AUTH_TOKEN_PATH=..., or correct the token in it"
"""The fix for every way in which a cluster refuses a token, as part of a sentence."""


def ready_token() -> None:
    """Make Ray use the token, if there is one; call this before Ray is imported. Sets RAY_AUTH_MODE.

    Raises:
        UserError: token mode is on, and there is no token or it cannot be read.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        return
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named or "~/.ray/auth_token").expanduser()
    if named or file.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if not is_on():
        return
    try:
        empty = not file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UserError(f"the cluster's token cannot be read from {file} ({reason}): set RAY_AUTH_TOKEN_PATH") from None
    if empty:
        raise UserError(f"{file} holds no token: write the cluster's token into it, or set RAY_AUTH_TOKEN_PATH")


def named_in_environment() -> list[str]:
    """The variables by which somebody asks for a token. Call this before `ready_token`, which sets one of them."""
    given = [name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if os.environ.get(name)]
    return (["RAY_AUTH_MODE"] if is_on() else []) + given


def is_on() -> bool:
    """Whether Ray uses a token."""
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def switch_off() -> None:
    """Make Ray use no token after all. Call this before its first connection: later it keeps the mode it began with."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray_internals.read_token_mode()
