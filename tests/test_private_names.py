"""Every private name of another library that the sources use: an update that removes one fails here first."""

import ast
import inspect
import socket
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.engine import ray_start
from sweeps.machines import Request, ray_internals
from sweeps.machines.ray_internals import RayChanged

ROOT = Path(__file__).parents[1]
RAY_INTERNALS = ROOT / "sweeps/machines/ray_internals.py"
SOURCES = {
    file: ast.parse(file.read_text()) for place in ("sweeps", "prune_core") for file in (ROOT / place).rglob("*.py")
}

# module, dotted name in it
MODULE_NAMES = [
    ("ray._private.worker", "_global_node"),
    ("ray._private.worker", "_worker_logs_enabled"),
    ("ray._private.ray_constants", "ENABLE_RAY_CLUSTER"),
    ("ray._private.services", "canonicalize_bootstrap_address"),
    ("ray._raylet", "GcsClient"),
    ("ray._raylet", "InnerGcsClient.get_all_node_info"),
    ("ray._raylet", "Config.initialize"),
    ("ray.core.generated.gcs_pb2", "GcsNodeInfo.ALIVE"),
    ("ray.core.generated.gcs_service_pb2_grpc", "NodeInfoGcsServiceServicer.CheckAlive"),
    ("ray.job_submission", "JobSubmissionClient._do_request"),
    ("ray.tune.execution.tune_controller", "TuneController.checkpoint"),
    ("ray.tune.utils.object_cache", "_ObjectCache.increase_max"),
    ("ray.air.execution._internal.actor_manager", "RayActorManager._actor_task_failed"),
    ("keras.src.backend", "config._KERAS_DIR"),
    ("keras.src.backend", "get_keras_mask"),
    ("keras.src.backend", "set_keras_mask"),
    ("keras.src.layers.rnn.conv_lstm", "ConvLSTMCell"),
    ("keras.src.models.functional", "Functional"),
    ("keras", "Layer._flatten_layers"),
    ("keras", "Layer._untrack_variable"),
    ("keras.layers", "Conv1D._compute_causal_padding"),
    ("keras.optimizers", "Optimizer._all_reduce_sum_gradients"),
    ("hydra.core.global_hydra", "GlobalHydra.config_loader"),
    ("hydra._internal.config_loader_impl", "ConfigLoaderImpl.compute_defaults_list"),
    ("hydra.core.override_parser.overrides_parser", "OverridesParser.parse_override"),
    ("hydra.core.override_parser.types", "OverrideType.CHANGE"),
    ("omegaconf", "DictConfig._get_node"),
    ("mlflow.utils.file_utils", "local_file_uri_to_path"),
]
# class, name that its constructor gives to an object
CONSTRUCTED_NAMES = [
    ("ray.tune.execution.tune_controller", "TuneController", "_actor_cache"),
    ("ray.tune.execution.tune_controller", "TuneController", "_actor_manager"),
    ("ray.tune.execution.tune_controller", "TrialRunnerWrapper", "_tune_controller"),
    ("ray.tune.experiment.trial", "Trial", "temporary_state"),
    ("ray.tune.experiment.trial", "_TemporaryTrialState", "ray_actor"),
]
# {kind of object of Keras: names}; the objects are made below
KERAS_NAMES = {
    "layer": {
        *("_dtype_policy", "_inbound_nodes", "_layers", "_losses", "_metrics", "_non_trainable_variables"),
        *("_outbound_nodes", "_tracker", "_trainable_variables"),
    },
    "graph": {
        *("_inputs_struct", "_nodes", "_nodes_by_depth", "_operations", "_operations_by_depth", "_outputs_struct"),
    },
    "tensor": {"_keras_history"},
    "sequential": {"_functional"},
    "attention": {"_output_dense"},
    "lambda": {"_output_shape"},
}
MLFLOW_TABLES = {"experiments", "runs", "metrics", "params", "tags", "logged_models", "job_locks"}


@pytest.mark.parametrize(("module", "name"), MODULE_NAMES)
def test_a_name_of_a_module_is_still_there(module, name):
    value = import_module(module)
    for part in name.split("."):
        value = getattr(value, part)


@pytest.mark.parametrize(("module", "owner", "name"), CONSTRUCTED_NAMES)
def test_a_name_that_a_constructor_gives_is_still_there(module, owner, name):
    assert f"self.{name}" in inspect.getsource(getattr(import_module(module), owner).__init__)


def test_names_of_objects_of_keras_are_still_there():
    import keras

    attention = keras.layers.MultiHeadAttention(1, 2)
    attention.build((None, 3, 2), (None, 3, 2))
    graph = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    made = {
        "layer": graph.layers[0],
        "graph": graph._functional,
        "tensor": graph.outputs[0],
        "sequential": graph,
        "attention": attention,
        "lambda": keras.layers.Lambda(abs),
    }
    missing = {kind: {name for name in names if not hasattr(made[kind], name)} for kind, names in KERAS_NAMES.items()}
    assert not any(missing.values()), missing


def test_tables_of_mlflow_that_are_read_without_it_are_still_there():
    from mlflow.store.tracking.dbmodels.models import Base

    from sweeps.tracking.database import _TABLES

    assert set(Base.metadata.tables) >= MLFLOW_TABLES
    assert {"alembic_version"} | MLFLOW_TABLES == _TABLES


def test_every_private_name_in_the_sources_is_listed_above():
    ours = {name for tree in SOURCES.values() for name in defined(tree)}
    theirs = {
        node.attr
        for tree in SOURCES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in ours
    }
    listed = {part for _, name in MODULE_NAMES for part in name.split(".")}
    listed |= {name for *_, name in CONSTRUCTED_NAMES} | set().union(*KERAS_NAMES.values())
    assert theirs - {"_exit", "_getframe"} <= listed  # the two of Python's own are documented


def test_ray_s_private_names_are_in_one_file():
    used = Counter(name for name in ray_names(SOURCES[RAY_INTERNALS]) if is_private(name))
    assert {"_private", "_raylet", "_global_node", "_do_request", "_temp_dir", "_actor_cache"} <= set(used)
    of_ray = set(used) - set(defined(SOURCES[RAY_INTERNALS])) | {"_do_request"}
    for file, tree in SOURCES.items():
        elsewhere = of_ray & ray_names(tree) if file.is_relative_to(ROOT / "sweeps") else set()
        assert file == RAY_INTERNALS or not elsewhere, f"{file} uses {elsewhere}: put it into {RAY_INTERNALS.name}"


def test_a_name_that_is_gone_is_one_sentence_with_the_fix(monkeypatch):
    import ray
    from ray._private import worker

    monkeypatch.delattr(worker, "_global_node")
    with pytest.raises(RayChanged) as caught:
        ray_internals.this_node()
    assert str(caught.value) == (
        f"Ray {ray.__version__} is installed, which does not have ray._private.worker._global_node; sweeps are tested "
        "with Ray 2.60: install 'ray[default,tune]>=2.60,<2.61'"
    )
    with pytest.raises(RayChanged, match=r"does not have SimpleNamespace\._actor_cache\.increase_max;"):
        ray_internals.keep_idle_workers(SimpleNamespace(_actor_cache=None), None, 1)
    monkeypatch.setattr(ray, "init", lambda **options: None)
    with pytest.raises(RayChanged, match=r"does not have the argument _memory of ray\.init;"):
        ray_internals.start_options(1, None, None)


def test_nobody_takes_that_sentence_for_another_trouble(monkeypatch, tmp_path):
    """It is a ValueError, like the error that Ray raises for an address that it cannot use."""
    import ray
    from ray._private import services, worker

    from sweeps.machines import machines_of

    monkeypatch.delattr(services, "canonicalize_bootstrap_address")
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(RayChanged):
        machines_of(f"127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.delattr(worker, "_global_node")
    with pytest.raises(RayChanged):
        ray_start.join(ray, Request(1, 0, None), "auto", lambda: None)


def test_the_requirement_that_is_named_is_the_one_of_the_project():
    assert f'"{ray_internals.REQUIREMENT}"' in (ROOT / "pyproject.toml").read_text()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def defined(tree: ast.AST) -> set[str]:
    """Names that a file gives to functions, classes, variables and attributes of its own objects."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                names.add(name)
    return names


def ray_names(tree: ast.AST) -> set[str]:
    """Names by which a file may mean something of Ray's: attributes, methods, imports, and texts that are a path."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.keyword(arg=str(name)):
                names.add(name)
            case ast.Constant(value=str(text)) if " " not in text:
                names.update(text.split("."))
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "ray":
                names.update(module.split("."), (alias.name for alias in node.names))
            case ast.Import():
                names.update(part for alias in node.names for part in alias.name.split(".") if "ray" in alias.name)
    return names
