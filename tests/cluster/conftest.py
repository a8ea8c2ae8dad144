"""The long set ends with figures over everything that it did."""

from tests.faults.drivers import TOTALS


def pytest_terminal_summary(terminalreporter) -> None:
    if TOTALS:
        terminalreporter.section("cluster")
        for line in TOTALS:
            terminalreporter.write_line(line)
