"""The long set (make faults): two people who run the same sweep on machines of their own, into one MLflow."""

import pytest

from tests.helpers.drivers import SWEEP, Driver, audit, conclude, finished_keys, planned, wait_for

pytestmark = pytest.mark.slow
PLAN = planned(*SWEEP)


def test_two_drivers_deliver_the_same_sweep_at_once(tmp_path):
    """Neither has any of the other's results; one run of each piece of work stays."""
    first, second = tmp_path / "first" / "outputs", tmp_path / "second" / "outputs"
    uri = f"sqlite:///{tmp_path}/shared.db"
    with Driver(first, (*SWEEP, f"tracking.uri={uri}"), LIGHT_SECONDS="2") as one:
        wait_for(lambda: not one.running or len(finished_keys(first)) > 0, "the first result")
        with Driver(second, (*SWEEP, f"tracking.uri={uri}"), LIGHT_SECONDS="1") as other:
            other.finish()
        one.finish()
    conclude("two drivers of one sweep into one MLflow", audit(first, PLAN, uri) + audit(second, PLAN, uri))
