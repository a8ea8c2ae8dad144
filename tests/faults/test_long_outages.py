"""The long set (make faults): an MLflow server that goes away in the middle of a sweep, on two kinds of database."""

import time

import pytest

from tests.helpers.drivers import (
    SWEEP,
    Driver,
    audit,
    conclude,
    fingerprints,
    finished_keys,
    planned,
    repeats,
    wait_for,
)
from tests.helpers.servers import Server, postgres_server, sqlite_server

pytestmark = pytest.mark.slow
PLAN = planned(*SWEEP)
AWAY_S = 60.0


@pytest.fixture(params=[sqlite_server, postgres_server], ids=["sqlite", "postgresql"])
def server(request, tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    with request.param(folder) as server:
        yield server


def tracked(server: Server) -> tuple[str, ...]:
    return (*SWEEP, "tracking=server", f"tracking.uri={server.uri}", "tracking.flush_timeout_s=120")


def test_away_for_a_minute_and_killed(tmp_path, server, request):
    """Stopped for a minute while trials go on, back, then SIGKILLed and started at once."""
    root = tmp_path / "outputs"
    with Driver(root, tracked(server), LIGHT_SECONDS="3") as driver:
        wait_for(lambda: len(finished_keys(root)) >= 2, "two results")
        server.stop()
        away = time.monotonic()
        wait_for(lambda: len(finished_keys(root)) >= len(PLAN), "all results without the server")
        time.sleep(max(0.0, AWAY_S - (time.monotonic() - away)))
        assert driver.running
        server.start()
        server.kill()
        server.start()
        said = driver.finish()
    assert said.count("does not take results") >= 1
    assert said.count("takes results again") >= 1
    conclude(f"MLflow on {request.node.callspec.id} away for a minute, killed", audit(root, PLAN, server.uri))


def test_away_until_the_sweep_has_ended(tmp_path, server, request):
    """What waits on disk is delivered by the same command, which does nothing else."""
    root = tmp_path / "outputs"
    overrides = (*tracked(server)[:-1], "tracking.flush_timeout_s=2")
    with Driver(root, overrides, LIGHT_SECONDS="1") as driver:
        wait_for(lambda: len(finished_keys(root)) >= 2, "two results")
        server.kill()
        driver.finish()
    before = fingerprints(root)
    assert len(finished_keys(root)) == len(PLAN)
    server.start()
    with Driver(root, overrides) as driver:
        driver.finish()
    findings = audit(root, PLAN, server.uri)
    findings.repeated += repeats(root, before)
    conclude(f"MLflow on {request.node.callspec.id} killed for the rest of the sweep", findings)
