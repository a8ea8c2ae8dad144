"""A driver that is killed while MLflow creates its database, which takes two seconds and many steps."""

from pathlib import Path

import pytest

from tests.helpers.drivers import SWEEP, Driver, audit, planned, wait_for


def size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def killed_meanwhile(root: Path) -> bool:
    """Kill a driver while it makes its database; returns whether the kill came in time."""
    with Driver(root) as driver:
        wait_for(lambda: not driver.running or size(root / "mlflow.db.new") > 0, "the first tables")
        driver.kill()
    return size(root / "mlflow.db.new") > 0


@pytest.mark.slow
def test_killed_while_the_database_is_made(tmp_path):
    roots = (tmp_path / str(attempt) / "outputs" for attempt in range(5))
    root = next(root for root in roots if killed_meanwhile(root))
    assert not (root / "mlflow.db").exists()
    with Driver(root) as driver:
        said = driver.finish()
    assert "tracking: " not in said
    assert not (root / "mlflow.db.new").exists()
    findings = audit(root, planned(*SWEEP))
    assert findings.none(), findings
