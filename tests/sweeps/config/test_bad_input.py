"""Every mistake in a request: one sentence, exit code 2, nothing started."""

import sys
from pathlib import Path

import pytest

from sweeps.config import MANY, choices
from sweeps.config.compose import ONE, compose
from sweeps.run import main

# ruff: noqa: E501 - sentences are easier to compare with what is printed on one line
METHODS = "cluster, importance, random, rvsm, threshold, unit, weight"
MODELS, EXPERIMENTS = (", ".join(choices()[group]) for group in ("model", "experiment"))

SENTENCES = {
    "method=importnce": f"unknown method 'importnce': did you mean 'importance'? known: {METHODS}",
    "method=[importance,foo]": f"unknown method 'foo': known: {METHODS}",
    "method=": f"method is given without a name: write method=... with {METHODS}",
    "method=[unit,unit]": "method names 'unit' twice: name it once",
    "method=unit method=[weight]": "method is given 2 times: write 'method=[unit,weight]'",
    "methods=[unit,weight]": "methods holds the settings of what is chosen: to choose, write 'method=[unit,weight]'",
    "metod=unit": "metod is not a key of the configuration: in its top level, did you mean 'method'? known: "
    f"{', '.join(sorted({*compose([]).config, *MANY, *ONE}))}",
    "=unit": "'=unit' cannot be read: write key=value, and a list in quotes as 'key=[a,b]'",
    "storage.uri=s3://a/b?x=y": "'storage.uri=s3://a/b?x=y' cannot be read: put a value with signs like = ( é into both kinds of "
    "quotes, 'storage.uri=\"...\"'",
    "hydra.searchpath=[file:///no/such/folder]": "hydra.searchpath=file:///no/such/folder is not a folder: correct the path",
    "method=a,b": "method=a,b is not how several values are given: write 'method=[a,b]'",
    "thresholds=0.1,0.5": "thresholds=0.1,0.5 is not how several values are given: write 'thresholds=[0.1,0.5]'",
    "seeds=range(1,3)": "seeds=range(1,3) is not how several values are given: write the list itself, as in 'seeds=[a,b]'",
    "compute=[local,gpu]": "compute takes a single choice, not a list: name one of gpu, kuberay, local, ray, ray_jobs, slurm",
    "dataset=mnist5k": "unknown dataset 'mnist5k': did you mean 'mnist_5k'? known: "
    "digits, fashion_mnist, mnist, mnist_5k, npz",
    "model=lenet5": f"unknown model 'lenet5': did you mean 'lenet_5'? known: {MODELS}",
    "experiment=nope": f"unknown experiment 'nope': known: {EXPERIMENTS}",
    "-m": "-m is not needed: lists are the axes, as in 'method=[importance,unit]' thresholds=[0.25,0.5]",
    "--config-name=x": "--config-name=x is not supported: use --help, --cfg job, or key=value",
    "--cfg": "--cfg needs to know what to print: write --cfg job",
    "thresholds": "'thresholds' cannot be read: write key=value, and a list in quotes as 'key=[a,b]'",
    "thresholds=[0.5": "'thresholds=[0.5' cannot be read: write key=value, and a list in quotes as 'key=[a,b]'",
    "thresholds=${nope}": "thresholds refers to what is not there: Interpolation key 'nope' not found",
    "hydra.run.dir=x": "hydra.run.dir is a setting of Hydra's own that has no effect here: leave it out",
    "compute.gpus=1": "compute.gpus is not a key of the configuration: in compute, did you mean 'num_gpus'? known: "
    "accelerator_type, address, cpus_per_trial, gpu_memory_mb, gpus_per_trial, max_concurrent, max_retries, memory_mb_per_trial, "
    "num_cpus, num_gpus, trial_timeout_s",
    "search.n_samples=5": "search.n_samples is not used by the chosen search: choose search=optuna or search=random",
    "methods.unit.grid.sparsity=[0.5]": "methods.unit.grid.sparsity is set, but method unit is not chosen: "
    "write 'method=[importance,unit]'",
    "++methods.unit.grid.sparsity=[1]": "methods.unit.grid.sparsity is set, but method unit is not chosen: "
    "chosen is importance",
    "methods.importance.grid.sparsity=[0.5]": "methods.importance.grid has no axis 'sparsity': did you mean 'start'? "
    "known: n_clusters, recovery, start, threshold; +methods.importance.grid.sparsity=[...] adds one",
    "+methods.importance.grid.sparsty=[0.5]": "methods.importance.grid.sparsty is not an axis: did you mean "
    "'sparsity'? known: beta, curve, damping, granularity, hold_zeros, include_biases, lambda, n_clusters, recovery, samples, "
    "schedule, score, selection, sparsity, start, steps, threshold, transforms",
    "methods.importance.score=relevance": "methods.importance: unknown score 'relevance': "
    "known: importance, l1_norm, l2_norm, lamp, magnitude, random",
    "methods.importance.start=outputs": "methods.importance: start='outputs' is not one of its values: did you mean "
    "'output'? known: output, uniform",
    "methods.importance.grid.start=[uniform,1]": "methods.importance: start=1 is not one of its values: known: output, "
    "uniform",
    "method=unit +methods.unit.start=output": "methods.unit.start has no effect with what is chosen: it belongs to score=importance, "
    "choose that or remove it",
    "methods.importance.start=output methods.importance.grid.start=[uniform]": "methods.importance.start is given twice, "
    "fixed and under grid: leave one out",
    "thresholds=[1] methods.importance.threshold=1": "thresholds and methods.importance.threshold set the same axis: give "
    "one of them",
    "methods.importance.granularity=weight": "methods.importance: score=importance cannot score granularity=weight: "
    "use granularity=unit",
    "sparsities=[0.5]": "sparsities sets the axis sparsity, which no chosen method has: chosen is importance, which can "
    "take thresholds, n_clusters, recovery",
    "thresholds=[]": "thresholds is empty: give at least one value",
    "methods.importance.grid.threshold=[]": "methods.importance.grid.threshold is empty: give at least one value",
    "thresholds=[-1]": "methods.importance: threshold=-1 must be a number in [0, inf)",
    "thresholds=[nan]": "methods.importance: threshold=nan must be a number in [0, inf)",
    "thresholds=[big]": "methods.importance: threshold='big' must be a number in [0, inf)",
    "method=weight sparsities=[0.5,1]": "methods.weight: sparsity=1 must be a number in [0, 1)",
    "n_clusters=0": "methods.importance: n_clusters=0 must be a whole number >= 1, or a list of them with one a layer",
    "n_clusters=[[9,24,110,13]]": "n_clusters=[9,24,110,13] has 4 values, but mlp_800_800 has 3 layers "
    "(dense_1, dense_2, output): give one a layer",
    "recovery=retrain": "methods.importance: unknown recovery 'retrain': known: batchnorm, finetune, none, reconstruct",
    "thresholds=[1] methods.importance.grid.threshold=[1]": "thresholds and methods.importance.grid.threshold set the "
    "same axis: give one of them",
    "seeds=[]": "seeds is empty: give at least one, as in 'seeds=[0,1,2]'",
    "seeds=[-1]": "seeds=-1 must be a whole number >= 0",
    "seeds=[1,1]": "seeds=[1, 1] names a seed twice: name each once",
    "seeds=[0.5]": "seeds[0] has a value of the wrong type: Value '0.5' of type 'float' could not be converted to Integer",
    "search=random search.n_samples=0": "search.n_samples=0 must be a whole number >= 1",
    "search=random +methods.importance.ranges.foo={low:0,high:1}": "methods.importance.ranges.foo is not an axis of the "
    "grid: known: n_clusters, recovery, start, threshold",
    "search=random methods.importance.ranges.threshold.low=9": "methods.importance.ranges.threshold.low=9 must be below "
    "methods.importance.ranges.threshold.high=1.5",
    "search=optuna +search.objectives.loss=min": "search.objectives names 3 metrics: name one or two",
    "compute.gpus_per_trial=1.5": "compute.gpus_per_trial=1.5 must be a fraction up to 1, or a whole number",
    "compute.cpus_per_trial=0": "compute.cpus_per_trial=0 must be a number > 0",
    "training.epochs=-1": "training.epochs=-1 must be a whole number >= 1",
    "measure.latency=perhaps": "measure.latency has a value of the wrong type: Value 'perhaps' is not a valid bool (type str)",
    "storage.root=": "storage.root='' is not a folder: name one",
    "tracking=server": "tracking.uri is missing: set it to the address of the server, tracking.uri=http://host:5000",
    "model=lenet_5 dataset=digits": "models.lenet_5 cannot take samples of shape (8, 8, 1): conv_2 has a window of 5 for "
    "an image of 4 there: choose a dataset of larger images",
    "dataset=npz": "datasets.npz.path is missing: set it to the path of your npz file",
}


@pytest.mark.parametrize("line", SENTENCES)
def test_a_bad_request_is_one_sentence(line: str, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    heavy = {"ray", "tensorflow"} & set(sys.modules)
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {SENTENCES[line]}\n"
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []
    assert {"ray", "tensorflow"} & set(sys.modules) == heavy


def test_more_gpus_than_there_are(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    assert main([f"storage.root={tmp_path}", "compute.gpus_per_trial=2", "compute.num_gpus=1"]) == 2
    assert capsys.readouterr().err.startswith("error: compute.gpus_per_trial=2 is more than this machine has (1)")


def test_an_unreachable_tracking_server(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    assert main([f"storage.root={tmp_path}", "tracking=server", "tracking.uri=http://127.0.0.1:9"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: tracking.uri=http://127.0.0.1:9: ")
    assert error.count("\n") == 1


def test_an_output_folder_that_cannot_be(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert main([f"storage.root={tmp_path}/file/outputs"]) == 2
    assert "storage.root=" in capsys.readouterr().err
