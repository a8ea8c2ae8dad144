"""Nothing that lies on a disk is executed, nothing is computed from other files than were planned with."""

import ast
import os
import pickle
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import prune_core
from prune_core import UserError
from prune_core.models import build
from prune_core.training import EpochCheckpoint
from sweeps import trial
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.run import main
from sweeps.specs import MODEL_FILE, BaselineSpec, Plan, Result
from sweeps.store import ResultStore
from sweeps.trial import summary

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
# What turns bytes into objects or text into code. (Ray's own transport between a sweep's processes pickles: README.)
EXECUTING = {
    *("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "eval", "exec", "compile", "__import__"),
    *("unsafe_load", "full_load", "instantiate", "enable_unsafe_deserialization", "allow_pickle", "safe_mode"),
}
SAFE = {("allow_pickle", False), ("safe_mode", True)}


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self):
        return os.mkdir, (self.file,)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """What a trap makes; it must not be there at the end."""
    file = tmp_path / "sprung"
    yield file
    assert not file.exists()


def names_in(tree: ast.AST):
    """Names that a module calls, imports or passes as keyword, with the constant given to a keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "id", getattr(node.func, "attr", "")), None
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, getattr(node.value, "value", None)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.name.partition(".")[0], None) for alias in node.names)
            yield getattr(node, "module", None) or "", None


@pytest.mark.parametrize("package", ["prune_core", "sweeps"])
def test_nothing_in_the_sources_turns_bytes_into_code(package: str) -> None:
    allowed = {("compile", None), ("compile", False)}  # re.compile, and models that are loaded uncompiled
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / package).rglob("*.py")
        for name, value in names_in(ast.parse(file.read_text()))
        if name in EXECUTING and (name, value) not in SAFE | allowed
    }
    assert found == set()


def test_numpy_and_yaml_are_only_used_in_their_safe_ways() -> None:
    for file in [*(ROOT / "prune_core").rglob("*.py"), *(ROOT / "sweeps").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                call = f"{getattr(node.func.value, 'id', '')}.{node.func.attr}"
                keywords = {keyword.arg for keyword in node.keywords}
                assert call not in ("yaml.load", "yaml.load_all"), file
                assert call != "np.load" or "allow_pickle" in keywords, file
                assert not call.endswith(".load_model") or "safe_mode" in keywords, file


def poisoned_npz(path: Path, sprung: Path) -> Path:
    np.savez(path, x_train=np.array([Trap(sprung)], dtype=object), y_train=np.array([0]))
    return path


def test_a_pickle_is_executed_nowhere(tmp_path: Path, sprung: Path) -> None:
    """A bare pickle, and an object array, in the place of every kind of file that is read."""
    bare = pickle.dumps(Trap(sprung))
    for content in (bare, poisoned_npz(tmp_path / "poisoned.npz", sprung).read_bytes()):
        for name in ("a.npz", "a.keras"):
            (tmp_path / name).write_bytes(content)
        dataset = f"datasets.npz.path={tmp_path}/a.npz"
        assert main([f"storage.root={tmp_path}/o", "dataset=npz", dataset]) == 2
        assert (
            main([f"storage.root={tmp_path}/o", "model=keras_file", f"models.keras_file.path={tmp_path}/a.keras"]) == 2
        )
        with pytest.raises(UserError):
            prune_core.load_masks(tmp_path / "a.npz")
        with pytest.raises(UserError):
            prune_core.decode(content)
        assert EpochCheckpoint(tmp_path / "a.npz").restore([]) == []
        summary.load(tmp_path / "a.npz")


def test_configuration_instantiates_nothing(tmp_path: Path, sprung: Path) -> None:
    for key in ("training", "methods.importance", "models.mlp_800_800", "datasets.mnist_5k", "search", "compute"):
        overrides = [f"+{key}._target_=os.mkdir", f"+{key}._args_=[{sprung}]"]
        assert main([f"storage.root={tmp_path}/o", "dry_run=true", *overrides]) == 2
    (tmp_path / "conf" / "method").mkdir(parents=True)
    (tmp_path / "conf" / "method" / "bad.yaml").write_text(
        f"# @package methods.bad\nscore: !!python/object/apply:os.mkdir ['{sprung}']\n"
    )
    assert main(["method=bad", f"hydra.searchpath=[file://{tmp_path}/conf]", "dry_run=true"]) == 2


@pytest.mark.parametrize("name", ["../dataset/npz", "/etc/passwd", "../../conf/config", "importance/../unit"])
def test_a_choice_is_a_name_and_not_a_way(name: str, capsys: pytest.CaptureFixture) -> None:
    assert main([f"method={name}", "dry_run=true"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "override",
    [
        "tracking.uri=[http://me:hunter2@host:1]",
        "tracking.uri=[http://me:hunter2@host:1",
        "tracking.uri=http://me:hunter2@host:1,http://me:hunter2@host:2",
        "tracking.uri={a:http://me:hunter2@host:1}",
        "tracking.urj=http://me:hunter2@host:1",
        "tracking.uri=http://me:hunter2@127.0.0.1:9",
        "tracking.uri=http://me:hunter2@host:port",
        "tracking.uri=ftp://me:hunter2@host",
        "tracking.uri=postgresql+psycopg2://me:hunter2@127.0.0.1:9/runs",
        "compute.address=http://me:hunter2@host:notaport",
    ],
)
def test_a_refusal_repeats_no_password(override: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([override, f"storage.root={tmp_path}"]) == 2
    printed = capsys.readouterr()
    assert "hunter2" not in printed.err + printed.out


def own_files(folder: Path, seed: int = 0) -> Plan:
    """Write a dataset and a network of a person's own, and plan with them."""
    generator = np.random.default_rng(seed)
    x, y = generator.random((60, 5), dtype=np.float32), np.arange(60) % 3
    np.savez(folder / "my.npz", x_train=x, y_train=y)
    hidden = keras.layers.Dense(4, "relu", kernel_initializer=keras.initializers.HeNormal(seed))
    keras.Sequential([keras.Input((5,)), hidden, keras.layers.Dense(3)]).save(folder / "my.keras")
    files = (f"datasets.npz.path={folder}/my.npz", f"models.keras_file.path={folder}/my.keras")
    return make_plan(settings_of(compose(["method=weight", "dataset=npz", "model=keras_file", *files])))


@pytest.mark.parametrize("what", ["dataset", "model"])
def test_files_that_changed_since_the_plan_was_made_are_noticed(what: str, tmp_path: Path) -> None:
    plan = own_files(tmp_path)
    (baseline,) = plan.baselines
    unchanged = prune_core.data.load("npz", baseline.dataset_config, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    own_files(other, seed=1)
    name = {"dataset": "my.npz", "model": "my.keras"}[what]
    (other / name).replace(tmp_path / name)
    store = ResultStore(tmp_path / "outputs")
    store.prepare()
    data = prune_core.data.load("npz", baseline.dataset_config, tmp_path) if what == "dataset" else unchanged
    with pytest.raises(UserError, match=f"the file of {what} (npz|keras_file) has changed since the sweep was planned"):
        list(trial.run(baseline, data, store))
    if what == "dataset":
        with pytest.raises(UserError, match="has changed"):
            list(trial.run(plan.trials[0], data, store))
    assert store.load(baseline.key) is None


@keras.saving.register_keras_serializable("mine")
class Own(keras.layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize("layer", [lambda: keras.layers.Lambda(lambda x: x), Own])
def test_a_dense_network_with_code_in_the_store_is_not_loaded(layer, tmp_path: Path) -> None:
    """Somebody who can write the storage root has put another network, with right checksums, into the place of ours."""
    plan = own_files(tmp_path)
    store = ResultStore(tmp_path / "outputs")
    store.prepare()
    (baseline,) = plan.baselines
    assert isinstance(baseline, BaselineSpec)
    with store.writing(baseline.key) as folder:
        keras.Sequential([keras.Input((5,)), layer(), keras.layers.Dense(3)]).save(folder / MODEL_FILE)
        store.commit(folder, Result(baseline.key, "baseline", {}, {"accuracy": 1.0}))
    data = prune_core.data.load("npz", baseline.dataset_config, tmp_path)
    with pytest.raises(UserError, match=r"Lambda|custom object"):
        list(trial.run(plan.trials[0], data, store))


def test_a_member_that_leads_out_of_the_archive_is_refused(tmp_path: Path) -> None:
    own_files(tmp_path)
    with zipfile.ZipFile(tmp_path / "my.keras", "a") as archive:
        archive.writestr("../../outside", "x")
    config = {"builder": "keras_file", "path": str(tmp_path / "my.keras")}
    with pytest.raises(UserError, match="without assets"):
        build("keras_file", config, (5,), 3, seed=0)
    assert not (tmp_path.parent.parent / "outside").exists()
