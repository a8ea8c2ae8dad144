"""Whatever is asked for, and whatever a configuration file holds: it is planned, or refused in one sentence."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prune_core.errors import UserError
from sweeps.config import MANY, conf_folder, settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan, outlook_of
from sweeps.store import ResultStore
from sweeps.terminal import plan_lines
from sweeps.tracking import resolve
from tests.mutations import altered, damaged, fuzzing

NOWHERE = Path("/nonexistent")
WORDS = [
    *("method", "dataset", "model", "search", "compute", "training", "seeds", "thresholds", "n_clusters", "methods"),
    *("importance", "grid", "threshold", "ranges", "hydra", "unit", "=", ",", "[", "]", "{", "}", ":", ".", "/", "@"),
    *("+", "++", "~", "${", "$", "0", "1", "-1", "0.5", "nan", "inf", "null", "none", "''", '"', "\\", "low", "high"),
]
TEXTS = st.one_of(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map("".join), st.text(max_size=12))
LEAVES = [
    *("0", "1", "-1", "0.5", "1e400", "nan", "inf", "-inf", "null", "true", "abc", "???", "${seeds}", "${oc.env:HOME}"),
    *(
        "''",
        "1" + "0" * 400,
        "9" * 20,
        "2026-01-01",
        "0x10",
        "1_000",
        "'\\x00'",
        "é",
        "../..",
        "/dev/zero",
        "~",
        "'a b'",
    ),
]
VALUES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
        st.tuples(st.sampled_from(["low", "epochs", "a", "0", "sparsity"]), inner).map(
            lambda pair: f"{{{pair[0]}:{pair[1]}}}"
        ),
    ),
    max_leaves=4,
)
CHOICES = st.sampled_from(
    [
        *("method=importance", "method=[weight,unit]", "method=rvsm", "method=random", "method=cluster"),
        *("search=random", "search=optuna", "compute=gpu", "compute=ray", "tracking=server", "debug=quick"),
        *("model=lenet_5", "dataset=npz", "model=keras_file", "dataset=mnist", "experiment=all_methods_small"),
    ]
)


def keys_of(node: Any, prefix: str = "") -> Iterator[str]:
    """Every key of a configuration, sections included."""
    if isinstance(node, Mapping):
        for name, inner in node.items():
            yield f"{prefix}{name}"
            yield from keys_of(inner, f"{prefix}{name}.")


def _all_keys() -> list[str]:
    everything = (
        "method=[importance,weight,rvsm,random,cluster]",
        "dataset=[mnist_5k,mnist,npz]",
        "model=[mlp_800_800,lenet_5]",
    )
    configs = (compose([*everything, f"search={search}"]).config for search in ("grid", "random", "optuna"))
    return sorted({key for config in configs for key in keys_of(config)})


KEYS = _all_keys()
SETTINGS = st.builds(
    lambda how, key, value: f"{how}{key}={value}",
    st.sampled_from(["", "", "", "+", "++"]),
    st.sampled_from(KEYS),
    VALUES,
) | st.sampled_from(KEYS).map(lambda key: f"~{key}")


def planned_or_sentence(overrides: list[str], conf: Path | None = None) -> None:
    said = "planned"
    try:
        settings = settings_of(compose(overrides, conf))
        resolve(settings.tracking, settings.storage.root)
        plan = make_plan(settings)
        assert plan_lines(plan, outlook_of(plan, ResultStore(NOWHERE)), 2)
    except UserError as error:
        said = str(error)
    assert said.strip()
    assert "\n" not in said


@fuzzing(15)
@given(st.lists(TEXTS, max_size=3))
def test_any_text(overrides: list[str]) -> None:
    planned_or_sentence(overrides)


@fuzzing(25)
@given(st.lists(CHOICES, max_size=2), st.lists(SETTINGS, min_size=1, max_size=2))
def test_any_value_of_any_key(chosen: list[str], overrides: list[str]) -> None:
    planned_or_sentence([*chosen, *overrides])


FILES = ["method/importance", "method/rvsm", "model/lenet_5", "dataset/mnist_5k", "training/default", "search/optuna"]


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conf")


@fuzzing(15)
@given(data=st.data())
def test_any_file_of_a_person_s_own(data: st.DataObject, own_folder: Path) -> None:
    """A file as ours, under another name, with its bytes or its contents changed."""
    group, _, name = data.draw(st.sampled_from(FILES)).partition("/")
    content = (conf_folder() / group / f"{name}.yaml").read_bytes()
    file = own_folder / group / "mine.yaml"
    file.parent.mkdir(exist_ok=True)
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(damaged(content)))
    else:
        header = f"# @package {MANY.get(group, group)}" + (".mine\n" if group in MANY else "\n")
        body = yaml.safe_dump(data.draw(altered(yaml.safe_load(content))), allow_unicode=True)
        file.write_bytes((header + body).encode(errors="surrogatepass"))
    planned_or_sentence([f"{group}=mine", f"hydra.searchpath=[file://{own_folder}]"])
