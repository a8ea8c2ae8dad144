"""One Ray on loopback for all quick tests; the slow ones end with figures on everything that they did."""

from collections.abc import Iterator

import pytest

from tests.helpers.cluster.ray_cluster import Loopback
from tests.helpers.drivers import TOTALS


@pytest.fixture(scope="session")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("ray")) as running:
        yield running


def pytest_terminal_summary(terminalreporter) -> None:
    if TOTALS:
        terminalreporter.section("cluster")
        for line in TOTALS:
            terminalreporter.write_line(line)
