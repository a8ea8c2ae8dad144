"""Starts services one after the other, each when the one before is healthy, and ends them in reverse order."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import postgres
import psutil
from services import Service, StackError, search_path

START_TIMEOUT_S = 300.0
POLL_S = 0.3
STARTS = 3
CACHES = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "KERAS_HOME")
"""Variables by which our image keeps caches out of HOME."""


class Processes:
    """The running processes of a stack.

    Args:
        logs: a folder; one file a service.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[Service, subprocess.Popen]] = []
        # Ray's sockets are there; their paths may have at most 107 bytes.
        self._temporary = Path(tempfile.mkdtemp(prefix="stack-", dir="/tmp"))
        logs.mkdir(exist_ok=True)

    def start(self, service: Service) -> None:
        """Start `service` and wait until it is healthy, or has ended well if it is one that ends. Raises StackError.

        One that ends before it is healthy is started again, if compose.yaml says so: Ray gives itself half a minute
        to start, which is short on a busy machine.
        """
        _require([] if service.name == "postgres" else service.command(), service.health_test)
        for attempts_left in reversed(range(STARTS if service.restarts else 1)):
            process = self._launch(service)
            self._running.append((service, process))
            if self._becomes_ready(service, process):
                return
            if not attempts_left:
                raise StackError(f"{service.label} ended with exit code {process.returncode}: see {self._log(service)}")
            self._running.pop()

    def _launch(self, service: Service) -> subprocess.Popen:
        is_postgres = service.name == "postgres"
        command = postgres.prepare(service) if is_postgres else service.command()
        if command[:2] == ["ray", "start"]:
            command += [f"--node-ip-address={service.address}", f"--temp-dir={self._folder(service)}"]
            command = [*_alone(), *command]
        user = postgres.owner() if is_postgres else None
        with self._log(service).open("ab") as output:
            return subprocess.Popen(
                command, env=self.environment(service), cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, user=user, group=user, extra_groups=[] if user else None,
            )  # fmt: skip

    def _becomes_ready(self, service: Service, process: subprocess.Popen) -> bool:
        """False: it has ended instead. Raises StackError if it does neither."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_ready(service, process):
            if process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise StackError(
                    f"{service.label} is not healthy after {START_TIMEOUT_S:.0f} s: see {self._log(service)}"
                )
            time.sleep(POLL_S)
        return True

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.label}.log"

    def environment(self, service: Service) -> dict[str, str]:
        """The variables of a process of `service`."""
        places = {name: str(self._folder(service) / name.lower()) for name in CACHES}
        return {**service.environment, **places}

    def _folder(self, service: Service) -> Path:
        """What /tmp is in a container."""
        folder = self._temporary / service.label
        folder.mkdir(exist_ok=True)
        return folder

    def failed(self) -> str | None:
        """A service that has ended although it should still run."""
        return next((s.label for s, process in self._running if process.poll() not in (None, 0)), None)

    def stop(self) -> None:
        """End everything, the last one first."""
        while self._running:
            service, process = self._running.pop()
            _end(process, service.grace_s)
        shutil.rmtree(self._temporary, ignore_errors=True)


def _require(*commands: list[str]) -> None:
    """Raise StackError for a command whose program is not on this machine."""
    for program in (command[0] for command in commands if command):
        if shutil.which(program, path=search_path()) is None:
            raise StackError(f"{program} is not here: install it, or run the development set-up again (make test)")


def _is_ready(service: Service, process: subprocess.Popen) -> bool:
    if service.health_url:
        return _answers(service.health_url)
    if service.health_test:
        return not subprocess.run(service.health_test, env=service.environment, capture_output=True).returncode
    return process.poll() == 0


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def _alone() -> list[str]:
    """Words before a command that let it see only its own processes: Ray searches them for the node that it is on."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *as_root, "--pid", "--fork", "--mount-proc", "--kill-child", "--"]


def _end(process: subprocess.Popen, grace_s: float) -> None:
    """SIGTERM, time to end in, and SIGKILL to all that is left of its group."""
    try:
        # `unshare` does not pass signals on.
        for started in psutil.Process(process.pid).children() if process.args[0] == "unshare" else [process]:
            started.terminate()
        process.wait(grace_s)
    except psutil.NoSuchProcess:
        process.wait()
    except subprocess.TimeoutExpired:
        pass
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        process.wait()
