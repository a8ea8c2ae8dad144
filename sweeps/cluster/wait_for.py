"""Waits until addresses answer.

python -m sweeps.cluster.wait_for http://10.0.0.1:8265/api/gcs_healthz http://10.0.0.2:52365/api/local_raylet_healthz
"""

import sys
import time
import urllib.request
from collections.abc import Sequence

TIMEOUT_S = 300.0
POLL_S = 0.5


def wait_for(urls: Sequence[str], timeout_s: float = TIMEOUT_S) -> list[str]:
    """Ask each of `urls` until it answers with success; returns those that have not within `timeout_s` seconds."""
    silent = list(urls)
    deadline = time.monotonic() + timeout_s
    while silent and time.monotonic() < deadline:
        silent = [url for url in silent if not _answers(url)]
        if silent:
            time.sleep(POLL_S)
    return silent


def _answers(url: str) -> bool:
    try:
        # Nodes of a cluster are reached directly, even where a proxy leads out of it.
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    missing = wait_for(sys.argv[1:])
    if missing:
        sys.exit(f"error: no answer within {TIMEOUT_S:.0f} s from {', '.join(missing)}")
