"""Which place in MLflow a sweep has by default, and which places suit a cluster."""

from pathlib import Path

from prune_core.errors import UserError
from sweeps.config.settings import TrackingSettings
from sweeps.tracking.target import Target, resolve


def default_target() -> Target:
    """What a sweep without configuration writes to, and what the UI shows without arguments, from the same folder."""
    return resolve(TrackingSettings(), Path("outputs"))


def check_shared(tracking: TrackingSettings, root: Path) -> None:
    """Refuse a place that only one machine of a cluster reaches.

    Args:
        tracking: the settings.
        root: storage.root.

    Raises:
        UserError: results would go into a database file, which lies on one machine.
    """
    if resolve(tracking, root).scheme == "sqlite":
        raise UserError(
            "tracking in a database file does not work on a cluster, where it would lie on whichever machine the "
            "driver gets, or be damaged on a network folder: set tracking=server tracking.uri=http://..."
        )
