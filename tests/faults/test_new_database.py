"""A driver that is killed while MLflow creates its database, which takes two seconds and many steps."""

from pathlib import Path

from tests.faults.drivers import SWEEP, Driver, audit, planned, wait_for


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def test_killed_while_the_database_is_made(tmp_path):
    root = tmp_path / "outputs"
    with Driver(root) as driver:
        wait_for(lambda: not driver.running or size(root / "mlflow.db.new") > 0, "the first tables")
        driver.kill()
    assert not (root / "mlflow.db").exists()
    assert size(root / "mlflow.db.new")
    with Driver(root) as driver:
        said = driver.finish()
    assert "tracking: " not in said
    assert not (root / "mlflow.db.new").exists()
    findings = audit(root, planned(*SWEEP))
    assert findings.none(), findings
