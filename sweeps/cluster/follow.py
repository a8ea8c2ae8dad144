"""Follows a Ray job's log to its end, through lost connections and a head that goes away and comes back."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from sweeps.cluster.jobs_api import Client, Unreachable

SILENCE_S = 30.0
"""After so long without a line the connection is made again: a connection whose other end has gone stays silent."""
RETRY_S = 2.0
PATIENCE_S = 15 * 60.0
"""Seconds to wait for a head that does not answer."""

_CUT_OFF = (OSError, RuntimeError, TimeoutError, aiohttp.ClientError)


class Follower:
    """Writes what a job prints, each character once.

    Args:
        client: of the cluster.
        job: submission id.
        write: takes pieces of text.
        say: takes a sentence when the cluster does not answer, and when it does again.
    """

    def __init__(
        self,
        client: Client,
        job: str,
        write: Callable[[str], Any] = sys.stdout.write,
        say: Callable[[str], Any] = print,
    ) -> None:
        self._client = client
        self._job = job
        self._write = write
        self._say = say
        self._seen = 0
        self._away_since: float | None = None

    def follow(self) -> Any:
        """Follow until the job has ended; gives its details. Raises Unreachable if the head stays away."""
        while True:
            ended = self._details()
            if ended is not None and ended.status.is_terminal():
                self._rest()
                return ended
            if ended is not None:
                asyncio.run(self._tail())
            time.sleep(RETRY_S)

    def _details(self) -> Any:
        """The job's details, or None if the cluster does not answer now."""
        try:
            details = self._client.get_job_info(self._job)
        except Unreachable:
            if self._away_since is None:
                self._away_since = time.monotonic()
                self._say("the cluster does not answer: waiting for it, the sweep may still run")
            if time.monotonic() - self._away_since > PATIENCE_S:
                raise
            return None
        if self._away_since is not None:
            self._say("the cluster answers again")
            self._away_since = None
        return details

    async def _tail(self) -> None:
        """Write what comes, until the connection ends, fails or falls silent."""
        skip = self._seen
        lines = aiter(self._client.tail_job_logs(self._job))
        try:
            while True:
                text = await asyncio.wait_for(anext(lines), SILENCE_S)
                self._show(text[skip:])
                skip = max(0, skip - len(text))
        except (StopAsyncIteration, *_CUT_OFF):
            return

    def _rest(self) -> None:
        """Write the end of the log, which the connection may have missed; nothing if the job's machine has gone."""
        try:
            text = self._client.get_job_logs(self._job)
        except (RuntimeError, Unreachable):
            return
        self._show(text[self._seen :])

    def _show(self, text: str) -> None:
        if text:
            self._write(text)
            sys.stdout.flush()
            self._seen += len(text)
