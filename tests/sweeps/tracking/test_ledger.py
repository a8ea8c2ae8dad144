"""The journal of deliveries: what is acknowledged stays so, whatever a crash leaves of the last line."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.tracking.ledger import SETTLES_S, Ledger


def filled(file: Path) -> Ledger:
    ledger = Ledger(file)
    for index in range(3):
        ledger.acknowledge(f"key{index}", f"run{index}")
    return ledger


def test_reads_back_what_was_written(tmp_path):
    first = filled(tmp_path / "ledger.jsonl")
    again = Ledger(tmp_path / "ledger.jsonl")
    assert again.runs == {"key0": "run0", "key1": "run1", "key2": "run2"}
    assert again.started_at == first.started_at


def test_what_was_looked_at_later_is_settled_and_what_was_delivered_just_now_is_not(tmp_path, monkeypatch):
    filled(tmp_path / "ledger.jsonl").settle(["key0", "unknown"])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SETTLES_S + 1)
    later = Ledger(tmp_path / "ledger.jsonl")
    assert later.settled == {}
    later.acknowledge("key9", "run9")
    later.settle(["key0", "key1", "key9"])
    again = Ledger(tmp_path / "ledger.jsonl")
    assert again.settled == {"key0": "run0", "key1": "run1"}
    assert again.runs == {"key0": "run0", "key1": "run1", "key2": "run2", "key9": "run9"}


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_line_cut_short_is_lost_alone_and_does_not_spoil_the_next(tmp_path, cut):
    file = tmp_path / "ledger.jsonl"
    filled(file)
    file.write_bytes(file.read_bytes()[:-cut])
    survivors = Ledger(file)
    assert {"key0", "key1"} <= set(survivors.runs)
    survivors.acknowledge("key9", "run9")
    assert Ledger(file).runs == {**survivors.runs, "key9": "run9"}


def test_an_altered_line_does_not_count(tmp_path):
    file = tmp_path / "ledger.jsonl"
    filled(file)
    file.write_text(file.read_text().replace("run1", "run7"))
    assert set(Ledger(file).runs) == {"key0", "key2"}


@given(garbage=st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(tmp_path_factory, garbage):
    file = tmp_path_factory.mktemp("fuzz") / "ledger.jsonl"
    file.write_bytes(garbage)
    Ledger(file).acknowledge("key", "run")
    assert Ledger(file).runs == {"key": "run"}


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_any_json_is_read_without_an_error(tmp_path_factory, value):
    file = tmp_path_factory.mktemp("fuzz") / "ledger.jsonl"
    file.write_text(json.dumps({"entry": value, "sha256": "0" * 16}) + "\n")
    assert Ledger(file).runs == {}
