"""What may not go to a cluster: secrets where everybody sees them, and places that exist on this machine only."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import PurePosixPath

import psutil

from prune_core.errors import UserError
from sweeps.cluster.base import Submission
from sweeps.config import Settings
from sweeps.redact import redact
from sweeps.tracking import resolve


def check_no_secrets(overrides: Sequence[str]) -> None:
    """Raise UserError for an override with a password: job lists, logs and process lists show overrides."""
    for override in overrides:
        if redact(override) != override:
            key = override.partition("=")[0].lstrip("+")
            raise UserError(
                f"{key} holds a password, which the cluster's job list would show: leave it out, and give its "
                "machines MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or the file ~/.mlflow/credentials"
            )


def check_joined(settings: Settings) -> None:
    """Raise UserError unless this machine is part of the cluster at compute.address, and tracking suits all of it."""
    from sweeps.machines import machines_of

    address = settings.compute.address
    assert address is not None
    here = {own.address for interface in psutil.net_if_addrs().values() for own in interface}
    ours = {ip: ip in here or ip_address(ip).is_loopback for ip, _ in machines_of(address)}
    if not any(ours.values()):
        raise UserError(
            f"compute.address={address} is a cluster that this machine is no part of: start it on one that is, or "
            "submit it with prune-sweep submit compute=ray_jobs compute.address=http://..."
        )
    if not all(ours.values()):
        check_tracking(settings)


def check_tracking(settings: Settings) -> None:
    """Raise UserError unless results are shown by a server: a database file lies on one machine."""
    target = resolve(settings.tracking, settings.storage.root)
    if target.scheme == "sqlite":
        raise UserError(
            "tracking in a database file does not work on a cluster, where it would lie on whichever machine the "
            "driver gets, or be damaged on a network folder: set tracking=server tracking.uri=http://..."
        )


def with_storage_there(submission: Submission) -> Submission:
    """The submission with a storage.root that makes sense on the cluster's machines.

    Raises:
        UserError: results would be gone with the job's temporary folder, or the folder means another one there.
    """
    given = [value for key, _, value in (o.partition("=") for o in submission.overrides) if key == "storage.root"]
    if given and given[-1] != "null":
        folder = given[-1].strip("'\"")
        if not (PurePosixPath(folder).is_absolute() or folder.startswith("~")):
            raise UserError(f"storage.root={folder} means another folder on the cluster: write it from / on")
        return submission
    if submission.settings.storage.uri is None:
        raise UserError(
            "results need a place that outlives the job: set storage.uri=s3://..., or storage.root to a folder that "
            "all machines of the cluster share"
        )
    return replace(submission, overrides=(*submission.overrides, "storage.root=null"))
