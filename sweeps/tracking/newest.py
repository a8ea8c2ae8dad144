"""The newest sweep of a database file, read without MLflow, which takes seconds to import."""

import sqlite3
from pathlib import Path

from sweeps.tracking.target import Place, Target

_NEWEST = """
select runs.experiment_id, runs.run_uuid, sweep.value from runs
join tags kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'sweep'
join tags sweep on sweep.run_uuid = runs.run_uuid and sweep.key = 'sweep.id'
where runs.lifecycle_stage = 'active' order by runs.start_time desc limit 1
"""


def newest_sweep(target: Target, file: Path) -> tuple[Place, str] | None:
    """Place and id of the sweep that was started last; None if there is none."""
    connection = sqlite3.connect(file.as_uri() + "?mode=rw", uri=True)
    try:
        row = connection.execute(_NEWEST).fetchone()
    except sqlite3.OperationalError:  # no tables yet
        return None
    finally:
        connection.close()
    return (Place(target, str(row[0]), row[1]), row[2]) if row else None
