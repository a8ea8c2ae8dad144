"""A method as a choice of entries and their checked parameters."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from prune_core import MethodSpec, UserError
from prune_core.axes import AXES, SCORES, Entry, Score, all_entries
from prune_core.entries import REQUIRED, Parameter
from prune_core.method_keys import with_own_parameters
from prune_core.registry import Registry
from prune_core.spec import method_spec
from prune_core.training import TrainingConfig
from prune_core.versions import versions_of_method


@contextmanager
def registered(registry: Registry, entry: Entry) -> Iterator[None]:
    """An entry that is there while entered."""
    registry.register(entry.name, entry)
    try:
        yield
    finally:
        registry.remove(entry.name)


def test_any_axis_of_a_named_method_can_be_another_choice() -> None:
    spec = method_spec(
        "weight",
        selection="global",
        score="lamp",
        schedule="iterative",
        steps=10,
        recovery=["reconstruct", "finetune"],
        sparsity=0.98,
    )
    assert spec.parameters() == {
        "granularity": "weight",
        "include_biases": False,
        "recovery": ["reconstruct", "finetune"],
        "schedule": "iterative",
        "score": "lamp",
        "selection": "global",
        "sparsity": 0.98,
        "steps": 10,
    }
    assert MethodSpec.from_parameters(spec.parameters()) == spec


@pytest.mark.parametrize(
    ("given", "kept"),
    [("finetune", "finetune"), (["finetune"], "finetune"), ([], "none"), (None, "none"), ("none", "none")],
)
def test_a_chain_of_one_recovery_is_that_recovery(given: object, kept: str) -> None:
    assert MethodSpec(sparsity=0.5, recovery=given).parameters()["recovery"] == kept


def test_an_option_of_a_score_shadows_nothing() -> None:
    option = Parameter(low=0, high=9, default=1)
    score = Score("shadow", len, ("weight",), parameters={"sparsity": option, "recovery": option, "own": option})
    with registered(SCORES, score):
        spec = MethodSpec(score="shadow", sparsity=0.5, options={"sparsity": 7, "recovery": 3}, own=2)
        assert (spec.sparsity, spec.recovery, spec.options) == (0.5, "none", {"sparsity": 7, "recovery": 3, "own": 2})
        written = spec.parameters()
        assert (written["sparsity"], written["recovery"], written["own"]) == (0.5, "none", 2)
        assert written["options"] == {"sparsity": 7, "recovery": 3}
        assert MethodSpec.from_parameters(written) == spec


def test_a_parameter_at_its_default_is_the_same_method() -> None:
    plain = MethodSpec(sparsity=0.5, schedule="iterative", steps=3)
    assert MethodSpec(sparsity=0.5, schedule="iterative", steps=3, curve="cubic").parameters() == plain.parameters()
    assert MethodSpec(sparsity=0.5, schedule="iterative", steps=3, curve="linear").parameters() != plain.parameters()


def test_a_raised_version_of_any_entry_is_in_the_versions() -> None:
    for axis, registry in AXES.items():
        for name in registry:
            entry = registry.get(name)
            assert entry.version >= 1, f"{axis}={name}"
    spec = MethodSpec(score="importance", granularity="unit", sparsity=0.5, n_clusters=4)
    assert versions_of_method(spec) == {"score.importance": 2, "weight_sharing": 2}


def test_epochs_count_what_trains_and_what_reads_data() -> None:
    config = TrainingConfig.from_mapping({"epochs": 7, "finetune": {"epochs": 3}, "rvsm": {"epochs": 5}})
    count = {
        "nothing": MethodSpec(sparsity=0.5),
        "finetune": MethodSpec(sparsity=0.5, recovery="finetune"),
        "four times": MethodSpec(sparsity=0.5, recovery="finetune", schedule="iterative", steps=4),
        "scored": MethodSpec(score="importance", granularity="unit", sparsity=0.5),
        "rvsm": MethodSpec(selection="none", schedule="rvsm", recovery="finetune", **{"lambda": 1.0, "beta": 1.0}),
    }
    assert {name: spec.epochs(config) for name, spec in count.items()} == {
        "nothing": 0,
        "finetune": 3,
        "four times": 12,
        "scored": 1,
        "rvsm": 8,
    }


def test_parameters_of_other_choices_are_left_out_of_a_point_and_unknown_ones_are_not() -> None:
    given = {"schedule": "one_shot", "sparsity": 0.5, "steps": 3, "threshold": 0.1, "sparsty": 1}
    assert with_own_parameters(given) == {"schedule": "one_shot", "sparsity": 0.5, "sparsty": 1}


def test_every_parameter_that_is_declared_takes_its_own_default() -> None:
    for axis, entry in all_entries():
        for name, parameter in entry.parameters.items():
            assert name not in AXES, f"{axis}={entry.name} names a parameter like an axis"
            if parameter.default is not REQUIRED and parameter.default is not None:
                assert parameter.checked(name, parameter.default) == parameter.default


SENTENCES = [
    ({"selection": "globl"}, "unknown selection 'globl': did you mean 'global'?"),
    ({"granularity": "units"}, "unknown granularity 'units': did you mean 'unit'?"),
    ({"schedule": "iteratve"}, "unknown schedule 'iteratve': did you mean 'iterative'?"),
    ({"recovery": ["finetune", "batchnrm"]}, "unknown recovery 'batchnrm': did you mean 'batchnorm'?"),
    ({"transforms": "weight_sharin"}, "unknown transform 'weight_sharin': did you mean 'weight_sharing'?"),
    ({"selection": 3}, "selection=3 must be the name of a selection"),
    ({"threshold": 0.1}, "threshold has no effect with schedule=one_shot selection=fraction: it belongs to selection="),
    ({"steps": 3}, "steps has no effect with schedule=one_shot selection=fraction: it belongs to schedule=iterative"),
    ({"schedule": "iterative"}, "steps is missing: schedule=iterative selection=fraction needs it"),
    ({"selection": "absolute", "sparsity": None}, "threshold is missing"),
    ({"schedule": "iterative", "steps": True}, "steps=True must be a whole number >= 1"),
    ({"schedule": "iterative", "steps": [2, 3]}, "steps=[2, 3] must be a whole number >= 1"),
    ({"sparsity": [0.1, "x"]}, "must be a number in [0, 1), or a list of them with one a layer to prune"),
    ({"sparsity": "half"}, "sparsity='half' must be a number in [0, 1)"),
    ({"transforms": "weight_sharing"}, "n_clusters is missing"),
    ({"options": 3}, "options=3 must be a mapping"),
    ({"options": {"start": "uniform"}}, "'start' is not an option of score=magnitude: it takes none, remove it"),
    ({"score": "lamp", "granularity": "unit"}, "score=lamp cannot score granularity=unit: use granularity=weight"),
    ({"sparstiy": 0.5, "sparsity": None}, "'sparstiy' is not a parameter: did you mean 'sparsity'?"),
]


@pytest.mark.parametrize(("given", "sentence"), SENTENCES)
def test_mistakes_are_one_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        method_spec("weight", **{"sparsity": 0.5, **given})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
