"""All that prune-sweep brings passes the suites that it offers to others."""

# ruff: noqa: RUF012 - class attributes are what a suite reads
import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from keras import layers

from prune_core.axes import AXES
from prune_core.data import DATASETS
from prune_core.data.idx_format import to_idx
from prune_core.models import BUILDERS
from prune_core.spec import METHODS
from prune_core.testing import (
    DatasetConformance,
    GranularityConformance,
    MethodConformance,
    ModelConformance,
    RecoveryConformance,
    ScheduleConformance,
    ScoreConformance,
    SelectionConformance,
    TransformConformance,
)

CONF = Path(__file__).parents[2] / "conf"


def configured(group: str, name: str) -> dict:
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


class TestMagnitude(ScoreConformance):
    score = "magnitude"


class TestL1Norm(ScoreConformance):
    score = "l1_norm"


class TestL2Norm(ScoreConformance):
    score = "l2_norm"


class TestLamp(ScoreConformance):
    score = "lamp"


class TestUniform(ScoreConformance):
    score = "random"


class TestRelevance(ScoreConformance):
    score = "importance"


class TestSingleWeights(GranularityConformance):
    granularity = "weight"


class TestCoupledUnits(GranularityConformance):
    granularity = "unit"


class TestEverything(SelectionConformance):
    selection = "none"


class TestFraction(SelectionConformance):
    selection = "fraction"
    parameters = {"sparsity": 0.5}


class TestAbsolute(SelectionConformance):
    selection = "absolute"
    parameters = {"threshold": 0.4}


class TestMeanRelative(SelectionConformance):
    selection = "mean_relative"
    parameters = {"threshold": 0.8}


class TestGlobal(SelectionConformance):
    selection = "global"
    parameters = {"sparsity": 0.5}


class TestErk(SelectionConformance):
    selection = "erk"
    parameters = {"sparsity": 0.5}


class TestOneShot(ScheduleConformance):
    schedule = "one_shot"


class TestIterative(ScheduleConformance):
    schedule = "iterative"
    parameters = {"steps": 3}


class TestRvsmSchedule(ScheduleConformance):
    schedule = "rvsm"
    parameters = {"lambda": 1e-3, "beta": 0.1}


class TestFinetune(RecoveryConformance):
    recovery = "finetune"


class TestBatchnorm(RecoveryConformance):
    recovery = "batchnorm"
    parameters = {"samples": 50}


class TestReconstruct(RecoveryConformance):
    recovery = "reconstruct"
    parameters = {"samples": 50}


class TestWeightSharing(TransformConformance):
    transform = "weight_sharing"
    parameters = {"n_clusters": 4}


class TestImportance(MethodConformance):
    method = "importance"
    parameters = {"threshold": 0.5}


class TestWeight(MethodConformance):
    method = "weight"
    parameters = {"sparsity": 0.3, "recovery": "finetune"}


class TestUnit(MethodConformance):
    method = "unit"
    parameters = {"sparsity": 0.5}


class TestThreshold(MethodConformance):
    method = "threshold"
    parameters = {"threshold": 0.05, "include_biases": True}


class TestCluster(MethodConformance):
    method = "cluster"
    parameters = {"n_clusters": 4}


class TestRvsm(MethodConformance):
    method = "rvsm"
    parameters = {"lambda": 1e-3, "beta": 0.1}


class TestRandom(MethodConformance):
    method = "random"
    parameters = {"sparsity": 0.5, "granularity": "unit", "n_clusters": 4}


class TestDigits(DatasetConformance):
    config = configured("dataset", "digits")


class TestMnist5k(DatasetConformance):
    config = {**configured("dataset", "mnist_5k"), "train_limit": 500}


class TestNpz(DatasetConformance):
    low, high = -9.0, 9.0

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def file(cls, tmp_path_factory):
        generator = np.random.default_rng(0)
        path = tmp_path_factory.mktemp("npz") / "mine.npz"
        np.savez(path, x_train=generator.normal(size=(90, 5)), y_train=np.arange(90) % 3)
        cls.config = {**configured("dataset", "npz"), "path": str(path)}


class TestIdx(DatasetConformance):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("idx")
        generator = np.random.default_rng(0)
        entries = {}
        for array, values in {
            "x_train": generator.integers(0, 256, (60, 4, 4)),
            "y_train": np.arange(60) % 3,
            "x_test": generator.integers(0, 256, (12, 4, 4)),
            "y_test": np.arange(12) % 3,
        }.items():
            content = to_idx(values.astype(np.uint8))
            (folder / array).write_bytes(content)
            entries[array] = {"name": array, "sha256": hashlib.sha256(content).hexdigest()}
        cls.config = {
            **configured("dataset", "mnist"),
            "input_shape": [4, 4, 1],
            "classes": 3,
            "samples": {"train": 60, "test": 12},
            "files": entries,
            "sources": {"here": {"kind": "folder", "path": str(folder)}},
        }


class TestMlp(ModelConformance):
    config = {"builder": "mlp", "hidden": [6, 5]}


class TestCnn(ModelConformance):
    block = {"filters": 4, "kernel": 3, "padding": "same", "pool": 2}
    config = {"builder": "cnn", "convolutions": [block, block], "dense": [6], "dropout": 0.2}


class TestKerasFile(ModelConformance):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def file(cls, tmp_path_factory):
        path = tmp_path_factory.mktemp("keras") / "mine.keras"
        hidden = layers.Dense(6, activation="relu", name="hidden")
        keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), hidden, layers.Dense(3, name="output")]).save(path)
        cls.config = {"builder": "keras_file", "path": str(path)}


SUITES = {
    "score": ScoreConformance,
    "granularity": GranularityConformance,
    "selection": SelectionConformance,
    "schedule": ScheduleConformance,
    "recovery": RecoveryConformance,
    "transforms": TransformConformance,
}


@pytest.mark.parametrize("axis", AXES)
def test_no_entry_of_an_axis_is_left_out(axis) -> None:
    assert {suite()._name() for suite in SUITES[axis].__subclasses__()} == set(AXES[axis])


def test_nothing_else_is_left_out() -> None:
    assert {suite.method for suite in MethodConformance.__subclasses__()} == set(METHODS)
    assert len(DatasetConformance.__subclasses__()) == len(list(DATASETS))
    assert len(ModelConformance.__subclasses__()) == len(list(BUILDERS))
