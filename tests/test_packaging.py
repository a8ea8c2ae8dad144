"""What an installed wheel contains, and with which versions of other packages it works."""

import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def test_every_folder_of_code_and_configuration_is_packaged():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    code = {file.parent.relative_to(ROOT) for room in ("prune_core", "sweeps") for file in (ROOT / room).rglob("*.py")}
    conf = {"sweeps" / file.parent.relative_to(ROOT) for file in (ROOT / "conf").rglob("*.yaml")}
    assert listed == {".".join(folder.parts) for folder in code | conf}


def test_the_locked_versions_are_among_those_that_are_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *chain(*project["project"]["optional-dependencies"].values())]
    needed += [text for group in project["dependency-groups"].values() for text in group if isinstance(text, str)]
    for file in (ROOT / "requirements").glob("*.txt"):
        locked = dict(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", file.read_text(), re.MULTILINE))
        assert locked
        for requirement in map(Requirement, needed):
            version = locked.get(canonicalize_name(requirement.name))
            assert version is None or version in requirement.specifier, f"{file.name}: {requirement} and {version}"
