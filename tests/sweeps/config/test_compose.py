"""Configurations composed by Hydra."""

from pathlib import Path

import pytest

from prune_core.errors import UserError
from sweeps.config import choices
from sweeps.config.compose import compose


def test_methods_stand_side_by_side() -> None:
    composed = compose(["method=[unit,importance]"])
    assert composed.chosen["method"] == ("unit", "importance")
    assert composed.config["methods"]["unit"]["score"] == "l2_norm"
    assert composed.config["methods"]["importance"]["score"] == "importance"


def test_datasets_and_models_stand_side_by_side() -> None:
    composed = compose(["dataset=[mnist_5k,digits]", "model=[lenet_300_100,mlp_800_800]"])
    assert list(composed.config["datasets"]) == ["mnist_5k", "digits"]
    assert list(composed.config["models"]) == ["lenet_300_100", "mlp_800_800"]


def test_choices_of_a_preset_are_choices() -> None:
    assert len(compose(["experiment=all_methods_small"]).chosen["method"]) == 7
    assert compose(["experiment=all_methods_small", "method=unit"]).chosen["method"] == ("unit",)


def test_what_the_command_line_asked_for() -> None:
    composed = compose(["method=unit", "seeds=[1]", "++methods.unit.grid={sparsity: [0.5], recovery: [none]}"])
    assert composed.asked == {"seeds", "methods.unit.grid.sparsity", "methods.unit.grid.recovery"}


def test_interpolations_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_ROOT", "/somewhere")
    assert compose(["storage.root=${oc.env:SWEEP_ROOT}/x"]).config["storage"]["root"] == "/somewhere/x"


def test_the_current_folder_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = compose([])
    monkeypatch.chdir(tmp_path)
    assert compose([]) == here


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    mine = tmp_path / "method" / "mine.yaml"
    mine.write_text("# @package methods.mine\nscore: magnitude\ngrid: {sparsity: [0.5]}\n")
    composed = compose(["method=mine", f"hydra.searchpath=[file://{tmp_path}]"])
    assert composed.chosen["method"] == ("mine",)
    assert composed.config["methods"]["mine"]["grid"] == {"sparsity": [0.5]}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("# @package methods.mine\nscore: [\n")
    with pytest.raises(UserError, match=r"not YAML.*mine\.yaml"):
        compose(["method=mine", f"hydra.searchpath=[file://{tmp_path}]"])


def test_choices_name_every_file() -> None:
    assert choices()["search"] == ["grid", "optuna", "random", "sensitivity"]
    assert "mnist_5k" in choices()["dataset"]
