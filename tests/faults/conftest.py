"""The long set ends with figures on everything that it did."""

from tests.helpers.drivers import TOTALS


def pytest_terminal_summary(terminalreporter) -> None:
    if TOTALS:
        terminalreporter.section("faults")
        for line in TOTALS:
            terminalreporter.write_line(line)
