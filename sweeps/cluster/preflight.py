"""What may not go to a cluster: secrets where everybody sees them, and places that exist on this machine only."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from prune_core.errors import UserError
from sweeps.cluster.base import Submission
from sweeps.redact import redact


def check_no_secrets(overrides: Sequence[str]) -> None:
    """Raise UserError for an override with a password: job lists, logs and process lists show overrides."""
    for override in overrides:
        if redact(override) != override:
            key = override.partition("=")[0].lstrip("+")
            raise UserError(
                f"{key} holds a password, which the cluster's job list would show: leave it out, and give its "
                "machines MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or the file ~/.mlflow/credentials"
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
