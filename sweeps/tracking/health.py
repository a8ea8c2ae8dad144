"""Asks in a few seconds whether a place takes runs.

Nothing here imports MLflow: a mistyped host is refused before a second has passed.
"""

import configparser
import json
import os
import socket
import sqlite3
import ssl
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from pathlib import Path

from sweeps.redact import redact
from sweeps.tracking.target import DATABASE_PORTS, MOVE_IT_AWAY, Target, Unreachable

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 3.0
_LIFECYCLE = "select lifecycle_stage from experiments where name = ?"


def probe(target: Target) -> None:
    """Ask whether `target` takes runs, in at most about five seconds.

    Raises:
        Unreachable: nobody answers, access is refused, the experiment is deleted, the file cannot be written.
    """
    if target.sqlite_file is not None:
        _probe_sqlite(target, target.sqlite_file)
    elif target.scheme in ("http", "https"):
        _probe_port(target, 443 if target.scheme == "https" else 80)
        _probe_http(target)
    elif target.scheme in DATABASE_PORTS:
        _probe_port(target, DATABASE_PORTS[target.scheme])


def _probe_sqlite(target: Target, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent):
            pass
        if not file.exists() or file.stat().st_size == 0:
            return
        with file.open("r+b"):
            pass
    except OSError as error:
        raise Unreachable(f"{file} cannot be written ({error.strerror})") from None
    try:  # opened for writing: the first reader rolls back what a killed driver left half written
        connection = sqlite3.connect(file.as_uri() + "?mode=rw", uri=True, timeout=ANSWER_TIMEOUT_S)
        try:
            (said,) = connection.execute("pragma quick_check(1)").fetchone()
            (page,) = connection.execute("pragma page_size").fetchone()
            if said != "ok" or file.stat().st_size % page:
                raise sqlite3.DatabaseError("it is cut short" if said == "ok" else said.strip().splitlines()[-1])
            row = connection.execute(_LIFECYCLE, (target.experiment,)).fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error) and "locked" not in str(error):  # MLflow may complete it, or is making it
            raise Unreachable(f"{file} cannot be read ({error})") from None
        return
    except sqlite3.DatabaseError as error:
        raise Unreachable(f"{file} is damaged or not a database ({error}): {MOVE_IT_AWAY}") from None
    if row is not None:
        _require_active(target, row[0])


def _probe_port(target: Target, default_port: int) -> None:
    parts = urllib.parse.urlsplit(target.uri)
    try:
        address = (parts.hostname or "localhost", parts.port or default_port)
        with socket.create_connection(address, timeout=CONNECT_TIMEOUT_S):
            pass
    except (OSError, ValueError) as error:
        raise Unreachable(f"nobody answers there ({_clause(error)})") from None


def _probe_http(target: Target) -> None:
    parts = urllib.parse.urlsplit(target.uri)
    query = urllib.parse.urlencode({"experiment_name": target.experiment})
    host = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name?{query}"
    request = urllib.request.Request(url, headers=_authorization(parts))
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S, context=_tls(parts.scheme)) as answer:
            body = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        _explain(error)
        return
    except ValueError:
        raise Unreachable("what answers there is not an MLflow server") from None
    except OSError as error:
        raise Unreachable(f"it does not answer ({_clause(error)})") from None
    experiment = body.get("experiment") if isinstance(body, dict) else None
    if not isinstance(experiment, dict):
        raise Unreachable("what answers there is not an MLflow server")
    _require_active(target, str(experiment.get("lifecycle_stage", "active")))


def _explain(error: urllib.error.HTTPError) -> None:
    body = error.read(2000).decode(errors="replace")
    if error.code == 404 and "RESOURCE_DOES_NOT_EXIST" in body:
        return  # the experiment is made when the sweep starts
    if error.code == 401:
        raise Unreachable("it wants other credentials: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if error.code == 403 and "host" in body.lower():
        raise Unreachable("it refuses this host name: name it in the server's --allowed-hosts")
    if error.code == 403:
        raise Unreachable("it denies access: ask for permission on the experiment")
    if error.code == 404:
        raise Unreachable("what answers there is not an MLflow server")
    raise Unreachable(f"it answers with HTTP {error.code}")


def _require_active(target: Target, stage: str) -> None:
    if stage != "active":
        raise Unreachable(
            f"its experiment {target.experiment} is deleted: restore it with `mlflow experiments restore`, "
            "or name another one with tracking.experiment=..."
        )


def _authorization(parts: urllib.parse.SplitResult) -> dict[str, str]:
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if not (user or token) and parts.username:
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    if not (user or token):
        file = configparser.ConfigParser(interpolation=None)
        try:
            file.read(Path.home() / ".mlflow" / "credentials")
        except configparser.Error:
            return {}
        user = file.get("mlflow", "mlflow_tracking_username", fallback=None)
        password = file.get("mlflow", "mlflow_tracking_password", fallback="")
    if user:
        return {"Authorization": "Basic " + b64encode(f"{user}:{password or ''}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls(scheme: str) -> ssl.SSLContext | None:
    if scheme != "https":
        return None
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _clause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return redact(str(reason)) or type(error).__name__
