"""Files that sweeps leave for one another, damaged or forged: redone or refused in a sentence, never followed out."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_core.errors import UserError
from sweeps.engine.search import PointSource
from sweeps.plan import outlook_of, trial_of
from sweeps.reporting import record
from sweeps.specs import Result, SearchSpec
from sweeps.store import RECORD, ResultStore, only_driver
from sweeps.tracking.ledger import Ledger
from tests.helpers.sweep_fixtures import baseline, commit, plan_of, trial
from tests.mutations import DEEP, altered, damaged, fuzzing

WORK = trial(baseline())
PLAN = plan_of(WORK)
SECRET = "not for a tracking server"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage root with one result, and a private file beside the store."""
    root = tmp_path_factory.mktemp("sound") / "outputs"
    store = ResultStore(root)
    store.prepare()
    commit(store, WORK)
    (root.parent / "secret").write_text(SECRET)
    return root


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> ResultStore:
    return copied(sound, tmp_path)


def copied(sound: Path, to: Path) -> ResultStore:
    shutil.copytree(sound.parent, to, dirs_exist_ok=True)
    return ResultStore(to / sound.name)


def record_of(store: ResultStore) -> dict[str, Any]:
    return json.loads((store.folder(WORK.key) / RECORD).read_bytes())["result"]


def seal(store: ResultStore, content: Any) -> None:
    """Write a record with a checksum that is right."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (store.folder(WORK.key) / RECORD).write_text(json.dumps({"sha256": digest, "result": content}))


def is_redone_or_read(store: ResultStore) -> bool:
    """Whether the result is read; else it must have been set aside, so that it can be made again."""
    outlook_of(PLAN, store)
    result = store.load(WORK.key)
    assert result is not None or not store.folder(WORK.key).exists()
    return result is not None


@pytest.fixture(scope="module")
def record_bytes(sound: Path) -> bytes:
    return (ResultStore(sound).folder(WORK.key) / RECORD).read_bytes()


@fuzzing(40)
@given(data=st.data())
def test_a_damaged_record_is_set_aside(data: st.DataObject, sound: Path, record_bytes: bytes, tmp_path_factory) -> None:
    store = copied(sound, tmp_path_factory.mktemp("damaged"))
    content = data.draw(damaged(record_bytes) | st.just(DEEP.encode()))
    (store.folder(WORK.key) / RECORD).write_bytes(content)
    assert not is_redone_or_read(store) or json.loads(content) == json.loads(record_bytes)


@fuzzing(60)
@given(data=st.data())
def test_a_forged_record_is_a_result_or_set_aside(data: st.DataObject, sound: Path, tmp_path_factory) -> None:
    store = copied(sound, tmp_path_factory.mktemp("forged"))
    seal(store, data.draw(altered(record_of(store))))
    if is_redone_or_read(store):
        result = store.load(WORK.key)
        assert isinstance(result, Result)
        assert all(type(value) in (int, float) for value in result.metrics.values())
        assert all(isinstance(text, str) for text in result.tags.values())


@pytest.mark.parametrize("name", ["../secret", "../../../secret", "..", ".", "", "sub/secret"])
def test_a_record_cannot_name_files_elsewhere(store: ResultStore, name: str) -> None:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    for elsewhere in (store.results / "secret", store.root.parent / "secret"):
        elsewhere.write_text(SECRET)
    (store.folder(WORK.key) / "sub").mkdir()
    (store.folder(WORK.key) / "sub" / "secret").write_text(SECRET)
    seal(store, {**record_of(store), "files": {name: digest}})
    assert not is_redone_or_read(store)


def test_an_absolute_name_is_not_followed(store: ResultStore) -> None:
    secret = store.root.parent / "secret"
    seal(store, {**record_of(store), "files": {str(secret): hashlib.sha256(SECRET.encode()).hexdigest()}})
    assert not is_redone_or_read(store)


def test_links_are_not_followed(store: ResultStore) -> None:
    """Neither a link among the files of a result nor one in the place of its folder."""
    folder = store.folder(WORK.key)
    (folder / "masks.npz").unlink()
    (folder / "masks.npz").symlink_to(store.root.parent / "secret")
    seal(store, {**record_of(store), "files": {"masks.npz": hashlib.sha256(SECRET.encode()).hexdigest()}})
    assert not is_redone_or_read(store)
    commit(store, WORK)
    elsewhere = store.root.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert not is_redone_or_read(store)
    assert (elsewhere / RECORD).exists()


@pytest.mark.parametrize("key", ["..", "../..", "../secret", "/etc", "", ".", "a/b", ".hidden"])
def test_a_key_is_a_name_and_not_a_way(store: ResultStore, key: str) -> None:
    before = sorted(store.root.parent.rglob("*"))
    with pytest.raises(ValueError, match="not the key of a result"):
        store.load(key)
    assert sorted(store.root.parent.rglob("*")) == before


def swept(root: Path) -> Path:
    """Record a sweep of the one result; returns the file."""
    about = record.SweepRecord("0123456789ab", "one", "python", (WORK.key,), {"seeds": [0]}, {}, failures=())
    return record.save_record(root / "sweeps" / about.sweep_id, about)


def drawn_or_sentence(root: Path) -> None:
    said = ""
    try:
        record.rows_of(record.load_record(root, "latest"), ResultStore(root))
    except UserError as error:
        said = str(error)
    assert "\n" not in said


@fuzzing(40)
@given(data=st.data())
def test_a_damaged_sweep_record_is_refused_in_a_sentence(data: st.DataObject, sound: Path, tmp_path_factory) -> None:
    store = copied(sound, tmp_path_factory.mktemp("record"))
    path = swept(store.root)
    path.write_bytes(data.draw(damaged(path.read_bytes()) | st.just(DEEP.encode())))
    drawn_or_sentence(store.root)


@fuzzing(60)
@given(data=st.data())
def test_an_altered_sweep_record_is_refused_in_a_sentence(data: st.DataObject, sound: Path, tmp_path_factory) -> None:
    store = copied(sound, tmp_path_factory.mktemp("record"))
    path = swept(store.root)
    path.write_text(json.dumps(data.draw(altered(json.loads(path.read_text())))))
    before = sorted(path.name for path in store.root.iterdir())
    drawn_or_sentence(store.root)
    assert sorted(path.name for path in store.root.iterdir()) == before


@pytest.mark.parametrize("key", ["..", "../..", "/", "../sweeps"])
def test_a_sweep_record_cannot_name_results_elsewhere(store: ResultStore, key: str) -> None:
    path = swept(store.root)
    path.write_text(json.dumps({**json.loads(path.read_text()), "keys": [key]}))
    with pytest.raises(UserError, match="is damaged"):
        record.load_record(store.root, "latest")


@pytest.mark.parametrize("sweep", ["../0123456789ab", "0123456789ab/..", "/", "*", ".."])
def test_a_sweep_is_asked_for_by_its_name(store: ResultStore, sweep: str) -> None:
    swept(store.root)
    with pytest.raises(UserError, match="no sweep begins like that"):
        record.load_record(store.root, sweep)


def search() -> SearchSpec:
    return SearchSpec(
        key="0" * 20,
        baseline=baseline(),
        method="unit",
        fixed={"score": "l2_norm", "granularity": "unit", "selection": "fraction"},
        ranges={"sparsity": {"low": 0.1, "high": 0.9, "log": False, "integer": False}},
        n_trials=3,
        objectives={"accuracy": "max"},
        seed=0,
        prune_output=False,
        measure={},
    )


@fuzzing(40)
@given(data=st.data())
def test_damaged_points_of_a_search_are_proposed_anew(data: st.DataObject, tmp_path_factory) -> None:
    file = tmp_path_factory.mktemp("points") / "points.jsonl"
    points = [{"sparsity": 0.5}, {"sparsity": 0.25}]
    found = data.draw(altered(points) | st.just(points))
    lines = "".join(json.dumps(point) + "\n" for point in (found if isinstance(found, list) else [found]))
    file.write_bytes(data.draw(damaged(lines.encode() or b" ") | st.just(lines.encode()) | st.just(DEEP.encode())))
    source = PointSource(search(), file)
    while source.knows_next:
        number, found = source.propose()
        assert found == trial_of(search(), found.axes)
        assert 0 <= number < 3


@pytest.mark.parametrize("line", [0, 1, 2, 4])
def test_a_damaged_line_costs_a_search_that_point_only(tmp_path: Path, line: int) -> None:
    wanted = replace(search(), n_trials=5, start=({"sparsity": 0.5}, {"sparsity": 0.25}))

    def all_points() -> list[Any]:
        source = PointSource(wanted, tmp_path / "points.jsonl")
        points = []
        while not source.exhausted:
            number, point = source.propose()
            source.tell(number, {"accuracy": 0.5})
            points.append(point)
        return points

    first = all_points()
    lines = (tmp_path / "points.jsonl").read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:-2] + b"\n"
    (tmp_path / "points.jsonl").write_bytes(b"".join(lines))
    again = all_points()
    assert again[:4] == first[:line] + first[line + 1 :]
    assert again[4] not in again[:4]
    assert line > 1 or again[4] == first[line]  # a point to start with is known without the record
    assert all_points() == again


@pytest.mark.parametrize("content", [b"", DEEP.encode(), b"\xff", b"{}", b"null", b'{"entry": 1, "sha256": 2}'])
def test_a_damaged_ledger_and_lock_are_taken_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger").write_bytes(content + b"\n")
    assert Ledger(tmp_path / "ledger").runs == {}
    (tmp_path / "driver.lock").write_bytes(content)
    with only_driver(tmp_path):
        assert os.listdir(tmp_path)


def test_a_result_of_the_fixture_is_sound(store: ResultStore) -> None:
    """What the tests above damage is read when it is not damaged."""
    assert is_redone_or_read(store)
    path = swept(store.root)
    assert asdict(record.load_record(store.root, path.parent.name))["keys"] == (WORK.key,)
