"""What an installed wheel contains."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_folder_of_code_and_configuration_is_packaged():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    code = {file.parent.relative_to(ROOT) for room in ("prune_core", "sweeps") for file in (ROOT / room).rglob("*.py")}
    conf = {"sweeps" / file.parent.relative_to(ROOT) for file in (ROOT / "conf").rglob("*.yaml")}
    assert listed == {".".join(folder.parts) for folder in code | conf}
