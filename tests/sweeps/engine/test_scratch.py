"""What killed processes leave behind: temporary files of workers, and half-written records."""

import os
import subprocess
import sys
import tempfile

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.engine import scratch
from sweeps.plan import make_plan
from sweeps.reporting.record import load_record
from sweeps.sweep import _keep as keep

NOBODY = 2**22 + 1
"""No process has this id: Linux gives none above 2**22."""


def test_a_worker_has_a_folder_of_its_own_and_clears_those_of_dead_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    folder = tmp_path / "temporary"
    for other in (NOBODY, os.getppid()):
        (folder / str(other)).mkdir(parents=True)
        (folder / str(other) / "__autograph_generated_file0.py").touch()
    scratch.use(folder)
    assert {path.name for path in folder.iterdir()} == {str(os.getpid()), str(os.getppid())}
    with tempfile.NamedTemporaryFile(prefix="__autograph_generated_file") as file:
        assert file.name.startswith(str(folder / str(os.getpid())))
    code = "import tempfile; print(tempfile.gettempdir())"
    child = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert child.stdout.strip() == str(folder / str(os.getpid()))


def test_a_record_that_is_damaged_when_a_sweep_starts_is_written_anew(tmp_path):
    settings = settings_of(compose(["dataset=digits", f"storage.root={tmp_path}"]))
    plan = make_plan(settings)
    folder = tmp_path / "sweeps" / plan.sweep_id
    folder.mkdir(parents=True)
    (folder / "sweep.json").touch()
    (folder / ".sweep.json.0a1b2c3d.part").write_text("{")
    keep(settings, plan)
    assert load_record(tmp_path, plan.sweep_id).keys == tuple(work.key for work in plan)
    assert [path.name for path in folder.iterdir()] == ["sweep.json"]
