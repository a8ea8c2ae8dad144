"""The services of compose.yaml as processes of this machine, on loopback: for machines without a container engine.

    python docker/stack                        start, say how to use it, and stop at Ctrl-C
    python docker/stack method=importance      start, run this sweep on it, and stop with the sweep's exit code
    python docker/stack --workers 4 --folder elsewhere

Secrets, state and logs stay in the folder, and the next stack there uses them again. Linux only; needs the
programs of PostgreSQL (Debian: postgresql), wget, and what `make test` installs.
"""

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from processes import POLL_S, Processes
from services import DOCKER, Service, StackError, services

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SUBMITTING = "sweep"
"""The service of compose.yaml that is not kept running."""
SWEEP_VARIABLES = ("HOME", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")
"""Variables of its environment that a person needs to submit a sweep."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="stack", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=DOCKER / "stack-state", help="default: docker/stack-state")
    parser.add_argument("--workers", type=int, default=2, help="Ray workers (default 2)")
    parser.add_argument("overrides", nargs="*", help="a sweep to run, as after prune-sweep; none: go on until Ctrl-C")
    arguments = parser.parse_args()
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)
    folder = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            return _run(folder, arguments.workers, arguments.overrides)
    except Timeout:
        print(f"error: another stack runs in {folder}: use that one, or name another --folder", file=sys.stderr)
        return 2
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(folder: Path, workers: int, overrides: Sequence[str]) -> int:
    _say(f"starting the stack in {folder}")
    make_secrets = [sys.executable, str(DOCKER / "make_secrets.py"), "--folder", str(folder)]
    subprocess.run(make_secrets, check=True, stdout=subprocess.DEVNULL)
    processes = Processes(folder / "logs")
    try:
        sweep = _start(processes, folder, workers)
        if overrides:
            return subprocess.run(sweep.command(*overrides), env=processes.environment(sweep), check=False).returncode
        return _serve(processes, sweep)
    finally:
        for number in ENDING:  # a second signal does not leave processes behind
            signal.signal(number, signal.SIG_IGN)
        _say("stopping the stack")
        processes.stop()


def _start(processes: Processes, folder: Path, workers: int) -> Service:
    """Start everything that is kept running; returns the service that submits sweeps."""
    submitting = None
    for service in services(folder, {"WORKERS": str(workers), "WORKER_CPUS": "1"}):
        if service.name == SUBMITTING:
            submitting = service
            continue
        processes.start(service)
        _say(f"  {service.label:<13} {service.address}")
    if submitting is None:
        raise StackError(f"compose.yaml has no service {SUBMITTING}")
    (folder / "addresses.json").write_text(json.dumps(submitting.addresses))
    return submitting


def _serve(processes: Processes, sweep: Service) -> int:
    """Say how the stack is used, and wait until a person ends it or one of its processes ends by itself."""
    variables = " ".join(f"{name}={shlex.quote(sweep.environment[name])}" for name in SWEEP_VARIABLES)
    secrets = sweep.folder / "secrets"
    _say(f"ready; end it with Ctrl-C; what each service says is in {sweep.folder / 'logs'}")
    _say(f"a sweep:  {variables} \\\n            {shlex.join(sweep.command())}")
    _say(f"MLflow:   http://{sweep.addresses['mlflow']}:5000 (user admin, password in {secrets / 'mlflow_auth.ini'})")
    _say(f"Ray:      http://{sweep.addresses['ray-head']}:8265 (token in {secrets / 'ray_token'})")
    while not processes.failed():
        time.sleep(POLL_S)
    raise StackError(f"{processes.failed()} has ended: see its file in {sweep.folder / 'logs'}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
