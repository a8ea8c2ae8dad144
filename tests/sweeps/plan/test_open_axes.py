"""Any axis of a method by another choice, on the command line and as a list in the grid."""

from pathlib import Path

import pytest

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.run import main
from sweeps.specs import Plan

SMALL = ["dataset=digits", "method=weight", "sparsities=[0.5]"]


def plan(*overrides: str) -> Plan:
    return make_plan(settings_of(compose([*SMALL, *overrides])))


def axes_of(*overrides: str) -> list[dict]:
    return [dict(trial.axes) for trial in plan(*overrides).trials]


def test_a_choice_on_the_command_line_names_the_trial() -> None:
    assert axes_of("methods.weight.selection=global") == [{"sparsity": 0.5, "selection": "global"}]
    (trial,) = plan("methods.weight.selection=global").trials
    assert trial.parameters["selection"] == "global"
    assert trial.key != plan().trials[0].key


def test_a_list_under_grid_is_an_axis() -> None:
    found = axes_of("methods.weight.grid.selection=[fraction,global,erk]", "methods.weight.grid.score=[magnitude,lamp]")
    assert found == [
        {"sparsity": 0.5, "selection": selection, "score": score}
        for selection in ("fraction", "global", "erk")
        for score in ("magnitude", "lamp")
    ]


def test_parameters_of_a_choice_need_no_plus() -> None:
    (trial,) = plan("methods.weight.schedule=iterative", "methods.weight.steps=4").trials
    assert trial.axes == {"sparsity": 0.5, "schedule": "iterative", "steps": 4}
    assert trial.parameters["steps"] == 4


def test_a_parameter_is_an_axis_only_where_its_entry_is_chosen() -> None:
    found = axes_of("methods.weight.grid.schedule=[one_shot,iterative]", "methods.weight.grid.steps=[2,5]")
    assert found == [
        {"sparsity": 0.5, "schedule": "one_shot"},
        {"sparsity": 0.5, "schedule": "iterative", "steps": 2},
        {"sparsity": 0.5, "schedule": "iterative", "steps": 5},
    ]


def test_a_chain_of_recoveries_is_one_value_of_the_axis() -> None:
    trials = plan("recovery=[none,reconstruct,[reconstruct,finetune]]").trials
    assert [trial.axes.get("recovery") for trial in trials] == ["none", "reconstruct", ["reconstruct", "finetune"]]
    assert trials[2].label.startswith("weight sparsity=0.5 recovery=[reconstruct,finetune] ")
    assert trials[2].training.keys() == {"finetune"}
    assert trials[1].training == {}
    assert plan("methods.weight.recovery=[reconstruct,finetune]").trials[0].key == trials[2].key


def test_what_a_file_gives_to_its_own_entries_does_not_stand_in_the_way_of_others() -> None:
    (trial,) = plan("sparsities=null", "methods.weight.selection=absolute", "methods.weight.threshold=0.1").trials
    assert trial.axes == {"selection": "absolute", "threshold": 0.1}


def test_every_trainer_has_a_part_of_training_of_its_own() -> None:
    rvsm = ["method=rvsm", "sparsities=null", "methods.rvsm.grid.lambda=[1e-4]"]
    one, other = (plan(*rvsm, *more) for more in ([], ["training.rvsm.epochs=9"]))
    assert one.baselines == other.baselines
    assert one.trials[0].key != other.trials[0].key
    assert other.trials[0].training == {"rvsm": {"epochs": 9}}


@pytest.mark.parametrize(
    "overrides",
    [
        ("recovery=reconstruct", "methods.weight.damping=0.1"),
        ("methods.weight.recovery=reconstruct", "methods.weight.damping=0.1"),
        ("methods.weight.grid.recovery=[reconstruct]", "methods.weight.grid.damping=[0.1]"),
    ],
)
def test_a_recovery_takes_its_parameters_however_it_is_chosen(overrides: tuple[str, ...]) -> None:
    (trial,) = plan(*overrides).trials
    assert trial.parameters["damping"] == 0.1
    assert trial.parameters["recovery"] == "reconstruct"


def test_all_keys_of_training_may_be_set_for_a_trainer() -> None:
    (trial,) = plan("recovery=finetune", "training.finetune.decay=cosine", "training.finetune.batch_size=32").trials
    assert trial.training["finetune"].items() >= {"decay": "cosine", "batch_size": 32}.items()


def test_options_of_a_score_may_be_given_as_such() -> None:
    method = ["method=importance", "sparsities=null", "thresholds=[0.5]"]
    nested, flat = (
        plan(*method, "~methods.importance.grid.start", f"methods.importance.{key}").trials[0].parameters
        for key in ("options={start: output}", "start=output")
    )
    assert nested == flat


def test_a_search_draws_from_axes_of_entries() -> None:
    points = axes_of(
        "search=random", "search.n_samples=12", "methods.weight.grid.selection=[fraction,global]", "sparsities=null"
    )
    assert {point["selection"] for point in points} == {"fraction", "global"}


SENTENCES = {
    "methods.weight.selection=globl": "methods.weight: unknown selection 'globl': did you mean 'global'?",
    "methods.weight.schedule=iterativ": "methods.weight: unknown schedule 'iterativ': did you mean 'iterative'?",
    "methods.weight.granularity=unit": "methods.weight: score=magnitude cannot score granularity=unit",
    "methods.weight.schedule=iterative": "methods.weight: steps is missing: schedule=iterative",
    "+methods.weight.steps=3": "methods.weight.steps has no effect with what is chosen: it belongs to schedule=",
    "methods.weight.schedule=iterative methods.weight.steps=0": "methods.weight: steps=0 must be a whole number >= 1",
    "methods.weight.schedule=iterative methods.weight.steps=few": "methods.weight: steps='few' must be a whole number",
    "methods.weight.schedule=iterative methods.weight.steps=2 methods.weight.curve=cubik": "methods.weight: "
    "curve='cubik' is not one of its values: did you mean 'cubic'?",
    "methods.weight.selection=global sparsities=[[0.5,0.5]]": "methods.weight: sparsity=[0.5, 0.5] must be a number in",
    "sparsities=[[0.5,0.5,0.5]]": "sparsity=[0.5,0.5,0.5] has 3 values, but mlp_800_800 has 2 layers to prune",
    "recovery=[[finetune,none]]": "methods.weight: recovery=['finetune', 'none'] names 'none' beside others",
    "recovery=[[finetune,finetun]]": "methods.weight: unknown recovery 'finetun': did you mean 'finetune'?",
    "recovery=[[3]]": "methods.weight: recovery=3 must be the name of a recovery",
    "methods.weight.threshold=1": "methods.weight.threshold",
    "+methods.weight.grid.samples=[10]": "methods.weight.grid.samples has no effect with what is chosen: it belongs to "
    "recovery=",
    "recovery=reconstruct +methods.weight.damping=0": "methods.weight: damping=0 must be a number in (0, 1]",
    "training.finetune.epochs=0": "training.finetune.epochs=0 must be a whole number >= 1",
    "+training.batchnorm.epochs=1": "training.batchnorm is not a",
}


@pytest.mark.parametrize("line", SENTENCES)
def test_a_mistake_is_one_sentence(line: str, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = [word for word in SMALL if word.split("=")[0] not in {part.split("=")[0] for part in line.split()}]
    assert main([*given, *line.split()]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {SENTENCES[line]}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
