"""Settings of a machine that are in no content key change no result: equal keys, and equal bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What a worker does, and a digest of all that came of it but times.
WORK = """
import hashlib, json, sys
from pathlib import Path
from prune_core import data
from sweeps.machines.capacity import Request
from sweeps.config.compose import compose, override
from sweeps.plan.make import make_plan
from sweeps.config.read import settings_of
from sweeps.store.local import ResultStore
from sweeps.engine.worker import prepare_process

root, spoiled = Path(sys.argv[1]), sys.argv[2] == "spoiled"
prepare_process(Request(1, 0, None), None)
import keras
from sweeps import trial
settings = settings_of(compose([
    "method=weight", "sparsities=[0.5]", "recovery=finetune", "n_clusters=[8]", "dataset=digits", "model=cnn_16_32_128",
    "training.epochs=1", "training.finetune.epochs=1", "measure.latency=false", override("storage.root", str(root)),
]))
store = ResultStore(root)
store.prepare()
digits = data.load("digits", settings.datasets["digits"], root)
told = []
for work in make_plan(settings):
    if spoiled:  # as the work before may have left them
        keras.config.set_floatx("float64")
        keras.config.set_image_data_format("channels_first")
        keras.config.set_epsilon(0.1)
        keras.config.set_dtype_policy("mixed_float16")
        keras.config.set_max_steps_per_epoch(1)
    for _ in trial.run(work, digits, store):
        pass
    result = store.load(work.key)
    weights = hashlib.sha256()
    if work.kind == "baseline":
        for weight in keras.saving.load_model(store.folder(work.key) / "model.keras", compile=False).weights:
            weights.update(weight.numpy().tobytes())
    else:
        weights.update((store.folder(work.key) / "network.pruned").read_bytes())
    told.append([work.key, weights.hexdigest(), result.metrics])
print(json.dumps(told))
"""
KERAS_JSON = {"floatx": "float64", "image_data_format": "channels_first", "epsilon": 0.1, "backend": "jax"}
SPOILED = {
    "KERAS_BACKEND": "numpy",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "KERAS_NNX_ENABLED": "true",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "PYTHONHASHSEED": "7",
    "LC_ALL": "C",
    "TZ": "Asia/Tokyo",
}


def test_nothing_of_it_reaches_a_result(tmp_path: Path) -> None:
    told = []
    for name, around in (("clean", {}), ("spoiled", SPOILED)):
        home = tmp_path / name
        home.mkdir()
        if name == "spoiled":
            (home / "keras.json").write_text(json.dumps(KERAS_JSON))
        command = [sys.executable, "-c", WORK, str(tmp_path / f"{name} root"), name]
        environment = {**os.environ, "KERAS_HOME": str(home), "TF_NUM_INTRAOP_THREADS": "1", **around}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout.splitlines()[-1]))
        assert [file.name for file in home.iterdir()] == ["keras.json"] * (name == "spoiled"), (
            "nothing is written there"
        )
    assert len(told[0]) == 2
    assert told[0] == told[1]
