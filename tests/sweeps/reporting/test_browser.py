"""MLflow's UI over a real sweep, in a real browser: what a person compares by is there and drawn.

Screenshots go to the folder that the environment variable SCREENSHOTS names, else to the test's temporary folder.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, sync_playwright

from sweeps.config import TrackingSettings
from sweeps.tracking import Place, resolve, sweep_link, trials_link
from tests.helpers.real_sweep import ROOT, runs_of

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
PATIENCE_MS = 180_000
"""A page takes seconds, and a minute where other tests have all processors."""

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is installed")


@pytest.fixture(scope="module")
def ui(finished) -> Iterator[str]:
    """Address of `python -m sweeps.ui` over the sweep."""
    root, _ = finished
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sweeps.ui", "--root", str(root), "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()  # it prints when it serves
        assert "Ctrl-C ends it" in line
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One tab; the UI changes its address without loading itself again."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags, timeout=PATIENCE_MS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def place(finished) -> tuple[Place, str]:
    """Where the sweep is, and its id; later sweeps of other tests may lie beside it."""
    root, _ = finished
    parent = min(runs_of(root, "sweep"), key=lambda run: run.info.start_time)
    target = resolve(TrackingSettings(), root)
    return Place(target, parent.info.experiment_id, parent.info.run_id), parent.data.tags["sweep.id"]


def trials_of(root: Path, sweep_id: str) -> list:
    return [run for run in runs_of(root, "trial") if run.data.tags["sweep.id"] == sweep_id]


def wait_for_drawn(page: Page, parts: str, says: str) -> None:
    """Wait until one of these parts of a picture has exactly this text."""
    has_it = "([parts, says]) => [...document.querySelectorAll(parts)].some(part => part.textContent === says)"
    page.wait_for_function(has_it, arg=[parts, says])


def keep(page: Page, name: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", timeout=PATIENCE_MS)


def test_the_printed_link_shows_every_trial_and_charts(ui, page, place, finished, tmp_path):
    where, sweep_id = place
    page.goto(trials_link(ui, where.experiment_id, sweep_id), timeout=PATIENCE_MS)
    for run in trials_of(finished[0], sweep_id):
        page.get_by_text(run.info.run_name, exact=True).first.wait_for()
    page.locator(".bars .point").first.wait_for(state="attached")
    keep(page, "trials", tmp_path)


def test_trials_are_compared_by_parallel_coordinates_and_scatter(ui, page, place, finished, tmp_path):
    where, sweep_id = place
    # Of two methods with the same axes, so that what is drawn first is the method.
    trials = [run for run in trials_of(finished[0], sweep_id) if run.data.params["method"] in ("unit", "weight")]
    runs, experiments = (
        quote(json.dumps(ids), safe="") for ids in ([run.info.run_id for run in trials], [where.experiment_id])
    )
    compared = f"{ui}/#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"
    page.goto(compared, timeout=PATIENCE_MS)
    page.get_by_text(f"Comparing {len(trials)} Runs").first.wait_for()
    wait_for_drawn(page, ".axis-title", "method")
    keep(page, "parallel_coordinates", tmp_path)
    page.get_by_role("tab", name="Scatter Plot").click()
    wait_for_drawn(page, ".ytitle", "accuracy")
    keep(page, "scatter", tmp_path)


def test_the_report_can_be_read_in_the_artifact_viewer(ui, page, place, tmp_path):
    where, _ = place
    route, _, query = sweep_link(ui, where).partition("?")
    page.goto(f"{route}/artifacts/report.html?{query}", timeout=PATIENCE_MS)
    page.frame_locator("iframe").get_by_text("How do I choose the ratio?").first.wait_for()
    keep(page, "report", tmp_path)


def test_masks_are_seen_as_a_picture(ui, page, place, finished, tmp_path):
    where, sweep_id = place
    trial = trials_of(finished[0], sweep_id)[0]
    page.goto(
        f"{ui}/#/experiments/{where.experiment_id}/runs/{trial.info.run_id}/artifacts/masks.png", timeout=PATIENCE_MS
    )
    page.wait_for_function("() => [...document.images].some(image => image.naturalWidth >= 400)")
    keep(page, "masks", tmp_path)


def test_the_dense_network_is_among_the_models(ui, page, place, tmp_path):
    where, _ = place
    page.goto(f"{ui}/#/experiments/{where.experiment_id}/models?workflowType=machine_learning", timeout=PATIENCE_MS)
    page.get_by_text("dense", exact=True).first.wait_for()
    keep(page, "models", tmp_path)
