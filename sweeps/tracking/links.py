"""Addresses in the MLflow UI that show a sweep, and the command that serves the UI."""

import shlex
from urllib.parse import quote, urlsplit

from sweeps.tracking.target import Place, Target

LOCAL_UI = "http://127.0.0.1:5000"
_TRAINING = "workflowType=machine_learning"
"""The UI's menus for trained networks; without it they are those for traces of language models."""


def ui_base(target: Target) -> str:
    """Where the UI of a tracking place is: the server's own address, or that of the local UI once it is started."""
    if target.scheme not in ("http", "https"):
        return LOCAL_UI
    parts = urlsplit(target.uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def trials_link(base: str, experiment_id: str, sweep_id: str) -> str:
    """The sweep's trials as a table and charts, best accuracy first."""
    where = quote(f"tags.`sweep.id` = '{sweep_id}' and tags.`kind` = 'trial'", safe="")
    order = quote("metrics.`accuracy`", safe="")
    return (
        f"{base}/#/experiments/{experiment_id}/runs?searchFilter={where}"
        f"&orderByKey={order}&orderByAsc=false&compareRunsMode=CHART&{_TRAINING}"
    )


def sweep_link(base: str, place: Place) -> str:
    """The sweep's own run: what it is, its metrics, its pictures."""
    return f"{base}/#/experiments/{place.experiment_id}/runs/{place.parent_id}?{_TRAINING}"


def ui_command(target: Target, default: Target) -> str | None:
    """The command that serves the UI; None where a server has one already."""
    if target.scheme in ("http", "https"):
        return None
    return "make ui" if target == default else shlex.join(["python", "-m", "sweeps.ui", "--uri", target.shown])
