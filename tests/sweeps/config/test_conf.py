"""conf/: every file says how to run it and what each key means, and every preset composes."""

import re
from pathlib import Path

import pytest

from prune_core.errors import UserError
from prune_core.spec import METHODS
from sweeps.config import MANY, choices, conf_folder, settings_of
from sweeps.config.compose import ONE, compose
from sweeps.plan import make_plan

CONF = conf_folder()
FILES = sorted(CONF.rglob("*.yaml"))
TOO_SMALL_FOR = {("zero_cluster_mnist", "quick")}  # the source's strides and pools leave nothing of 8x8 digits


def package_of(file: Path) -> str:
    group = file.parent.name
    if file.name == "config.yaml" or group in ("experiment", "debug"):
        return "_global_"
    return f"{MANY[group]}.{file.stem}" if group in MANY else group


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_file_begins_with_its_package_and_a_command(file: Path) -> None:
    first, second = file.read_text().splitlines()[:2]
    assert first == f"# @package {package_of(file)}"
    assert re.match(r"# python sweeps/(run|submit)\.py ", second)
    if file.parent != CONF:
        assert f"{file.parent.name}={file.stem}" in second


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_key_has_a_comment(file: Path) -> None:
    """Down to the second level; a section's comment explains what is below."""
    before = ""
    in_defaults = False
    for line in file.read_text().splitlines():
        in_defaults = line.startswith("defaults:") or (in_defaults and line.startswith(" "))
        if re.match(r"( {2})?[\w.]+:", line) and not in_defaults:
            assert before.lstrip().startswith("#") or " # " in line, f"{line!r} lacks a comment"
        before = line


def test_the_methods_are_those_of_the_python_api() -> None:
    names = choices()["method"]
    assert names == list(METHODS)
    composed = compose([f"method=[{','.join(names)}]"]).config["methods"]
    for name in names:
        shared = {key: value for key, value in composed[name].items() if key in METHODS.get(name)}
        axes = composed[name]["grid"]
        for key, value in METHODS.get(name).items():
            assert shared.get(key) == value or value in axes[key]


def test_groups_are_folders() -> None:
    assert {folder.name for folder in CONF.iterdir() if folder.is_dir()} == {*MANY, *ONE}


@pytest.mark.parametrize("name", choices()["experiment"])
@pytest.mark.parametrize("debug", [None, *choices()["debug"]])
def test_every_experiment_plans(name: str, debug: str | None) -> None:
    shrink = [f"debug={debug}"] if debug else []
    if (name, debug) in TOO_SMALL_FOR:
        shrink.append("dataset=mnist_5k")
    plan = make_plan(settings_of(compose([f"experiment={name}", *shrink])))
    assert plan.trials or plan.searches
    if debug == "quick":
        assert {baseline.dataset for baseline in plan.baselines} <= {"digits", "mnist_5k"}
        assert {baseline.seed for baseline in plan.baselines} == {0}


@pytest.mark.parametrize("method", choices()["method"])
@pytest.mark.parametrize("search", choices()["search"])
def test_every_method_plans_in_every_search(method: str, search: str) -> None:
    settings = settings_of(compose([f"method={method}", f"search={search}"]))
    if search == "sensitivity" and "sparsity" not in settings.methods[method].grid:
        with pytest.raises(UserError, match="search=sensitivity needs methods"):
            make_plan(settings)
        return
    plan = make_plan(settings)
    assert len(plan.baselines) == 1
    assert len(plan) > 1


def test_the_quick_preset_is_one_small_trial_a_method() -> None:
    names = choices()["method"]
    plan = make_plan(settings_of(compose([f"method=[{','.join(names)}]", "debug=quick", "dataset=mnist_5k"])))
    assert sorted(trial.method for trial in plan.trials) == names
    assert plan.baselines[0].training["epochs"] == 2
