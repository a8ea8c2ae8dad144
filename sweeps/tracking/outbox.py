"""A queue that one thread delivers in order; it waits and tries again while the receiver is away.

It knows neither MLflow nor what an item is.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
ATTEMPTS_ON_LIVING_RECEIVER = 4

log = logging.getLogger(__name__)
Item = TypeVar("Item")
# Item only goes into a receiver.
Item_in = TypeVar("Item_in", contravariant=True)
Last = TypeVar("Last")
Last_in = TypeVar("Last_in", contravariant=True)


class Refusal(Exception):
    """Raised by `Receiver.deliver`: the item itself is at fault, not the connection; waiting does not help."""


class Receiver(Protocol[Item_in, Last_in]):
    """What the thread calls. Every method is one attempt; an exception means that it is tried again."""

    def open(self) -> None:
        """Called until it succeeds once, before anything is delivered."""

    def deliver(self, item: Item_in) -> None:
        """Deliver one item. Raises Refusal, or anything else for trouble that may pass."""

    def close(self, last: Last_in) -> None:
        """Called after the last item."""

    def alive(self) -> bool:
        """Whether the receiver answers: an item that fails on a living receiver is not tried for ever."""

    def forgo(self, item: Item_in, error: Exception) -> None:
        """Told once about an item that is set aside because it cannot be delivered."""

    def release(self) -> None:
        """Called once when the thread ends, in the thread."""


class Outbox(Generic[Item, Last]):
    """Items on their way to a receiver."""

    def __init__(
        self, receiver: Receiver[Item, Last], interrupted: Callable[[str], None], resumed: Callable[[float], None]
    ):
        """
        Args:
            receiver: called from the thread only.
            interrupted: called once when an outage begins, with its reason.
            resumed: called once when it ends, with its seconds.
        """
        self._receiver = receiver
        self._interrupted = interrupted
        self._resumed = resumed
        self._changed = threading.Condition()
        self._queue: deque[Item] = deque()
        self._set_aside: list[Item] = []
        self._last: Last | None = None
        self._last_round = False
        self._opened = False
        self._stopped = False
        self._done = threading.Event()
        self._attempts = 0  # at the first item of the queue, on a living receiver
        self._outage_since: float | None = None
        self._pause = FIRST_PAUSE_S
        self._thread = threading.Thread(target=self._main, name="outbox", daemon=True)

    def start(self) -> None:
        """Open the receiver in the background."""
        self._thread.start()

    def add(self, item: Item) -> None:
        """Put an item at the end."""
        with self._changed:
            self._queue.append(item)
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> int:
        """Wait until the queue is empty, at most `timeout_s`; returns `waiting`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue or self._done.is_set(), timeout_s)
            return self.waiting

    def finish(self, last: Last, timeout_s: float) -> int:
        """Deliver what waits, close the receiver, end the thread; at most `timeout_s`. Returns `waiting`."""
        with self._changed:
            self._last = last
            self._changed.notify_all()
        self._done.wait(timeout_s)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return self.waiting

    @property
    def waiting(self) -> int:
        """Items that are not delivered, and one more for a close that is asked for and not done."""
        return len(self._queue) + len(self._set_aside) + (self._last is not None)

    def _main(self) -> None:
        try:
            while not self._stopped and self._step():
                pass
        finally:
            self._receiver.release()
            with self._changed:
                self._done.set()
                self._changed.notify_all()

    def _step(self) -> bool:
        """Do one thing or wait for one; False when all is done."""
        if not self._opened:
            self._opened = self._attempt(self._receiver.open)
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._last is not None or self._stopped)
            item = self._queue[0] if self._queue else None
            last = self._last
        if item is not None:
            self._deliver(item)
        elif last is not None and not self._try_set_aside_again() and self._attempt(lambda: self._receiver.close(last)):
            self._last = None
            return False
        return True

    def _deliver(self, item: Item) -> None:
        try:
            self._receiver.deliver(item)
        except Exception as error:
            if not isinstance(error, Refusal) and not self._receiver.alive():
                self._wait_out(error)
                return
            self._attempts += 1
            if self._attempts < ATTEMPTS_ON_LIVING_RECEIVER and not isinstance(error, Refusal) and not self._last_round:
                log.debug("attempt %d failed", self._attempts, exc_info=error)
                self._wait_a_little()
                return
            if not self._last_round:
                self._receiver.forgo(item, error)
            self._set_aside.append(item)
        else:
            self._succeeded()
        with self._changed:
            self._attempts = 0
            self._queue.popleft()
            self._changed.notify_all()

    def _attempt(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:
            self._wait_out(error)
            return False
        self._succeeded()
        return True

    def _try_set_aside_again(self) -> bool:
        """At the end, once: the cause may have been removed."""
        if self._last_round or not self._set_aside:
            return False
        self._last_round = True
        with self._changed:
            self._queue.extend(self._set_aside)
            self._set_aside.clear()
        return True

    def _succeeded(self) -> None:
        if self._outage_since is not None:
            self._resumed(time.monotonic() - self._outage_since)
        self._outage_since = None
        self._pause = FIRST_PAUSE_S

    def _wait_out(self, error: Exception) -> None:
        log.debug("the receiver is away", exc_info=error)
        if self._outage_since is None:
            self._outage_since = time.monotonic()
            self._interrupted(str(error).strip() or type(error).__name__)
        self._wait_a_little()

    def _wait_a_little(self) -> None:
        """Wait longer each time; `finish` ends the pause, so that there is at least one more attempt."""
        with self._changed:
            last = self._last
            self._changed.wait_for(lambda: self._stopped or self._last is not last, self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
