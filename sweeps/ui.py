"""The MLflow UI over a sweep's results, on loopback.

python -m sweeps.ui --port 5000                        the default database, ./outputs/mlflow.db
python -m sweeps.ui --root elsewhere                   another storage.root
python -m sweeps.ui --uri sqlite:///folder/mlflow.db   another tracking.uri
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prune_core.errors import UserError
from sweeps.config.settings import TrackingSettings
from sweeps.process import surroundings
from sweeps.tracking import Target, Unreachable, newest_sweep, probe, resolve, sweep_link, trials_link

HOST = "127.0.0.1"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 5
# Jobs, the gateway and the Assistant serve everybody who reaches the port: any local user. Nothing here needs them.
# The Assistant has no switch: it lives in the FastAPI application only, which gunicorn does not serve.
_OFF = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_WITHOUT_ASSISTANT = ("--gunicorn-opts", "--log-level warning")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; returns the exit code: 0, 1 (the server failed) or 2 (a bad request)."""
    try:
        surroundings.require_current_folder()
        return _main(_arguments(argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sweeps.ui", description="Serve the MLflow UI on loopback.")
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default 5000)")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--root", type=Path, default=Path("outputs"), help="storage.root (default ./outputs)")
    place.add_argument("--uri", help="tracking.uri of a database, e.g. sqlite:///folder/mlflow.db")
    return parser.parse_args(argv)


def _main(arguments: argparse.Namespace) -> int:
    target = resolve(TrackingSettings(uri=arguments.uri), arguments.root)
    if target.scheme in ("http", "https"):
        raise UserError(f"--uri={target.shown} is a server, which has its own UI: open that address in a browser")
    if target.sqlite_file is not None and not target.sqlite_file.is_file():
        raise UserError(f"{target.sqlite_file} is not there: run a sweep first, or name its folder with --root")
    try:
        probe(target)
    except Unreachable as error:
        raise UserError(f"{target.shown}: {error}") from None
    _require_free(arguments.port)
    # SIGTERM ends it like Ctrl-C, so that no worker of the server is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="prune-sweep-ui-") as folder:
        log = Path(folder) / "server.log"
        server = _start(target, arguments.port, log)
        try:
            return _serve(server, log, target, f"http://{HOST}:{arguments.port}")
        except KeyboardInterrupt:
            return 0
        finally:
            _stop(server)


def _serve(server: subprocess.Popen[bytes], log: Path, target: Target, base: str) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(base):
        if server.poll() is not None or time.monotonic() > deadline:
            print(f"error: the MLflow server did not start\n{log.read_text(errors='replace')}", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"MLflow UI of {target.shown}: {base} (Ctrl-C ends it)", flush=True)
    if target.sqlite_file is not None and (newest := newest_sweep(target, target.sqlite_file)):
        place, sweep_id = newest
        print(f"trials of the newest sweep: {trials_link(base, place.experiment_id, sweep_id)}")
        print(f"the sweep itself:           {sweep_link(base, place)}", flush=True)
    return 1 if server.wait() else 0


def _require_free(port: int) -> None:
    try:
        with socket.create_server((HOST, port)):
            pass
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise UserError(f"port {port} cannot be used ({reason}): name another one, e.g. make ui PORT=5001") from None


def _start(target: Target, port: int, log: Path) -> subprocess.Popen[bytes]:
    """The server in a process group of its own, which can be ended with all its workers."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += [*_WITHOUT_ASSISTANT, "--backend-store-uri", target.uri]
    if target.artifact_location:
        command += ["--default-artifact-root", target.artifact_location]
    environment = {**os.environ, **_OFF, "MLFLOW_LOGGING_LEVEL": os.environ.get("MLFLOW_LOGGING_LEVEL", "ERROR")}
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, start_new_session=True, stdout=output, stderr=output)


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(STOP_TIMEOUT_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _answers(base: str) -> bool:
    host, _, port = base.rpartition("/")[2].partition(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0


if __name__ == "__main__":
    surroundings.settle()
    sys.exit(main())
