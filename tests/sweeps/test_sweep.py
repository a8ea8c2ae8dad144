"""What a sweep asks before it starts."""

from typing import NamedTuple

import psutil
import pytest

from prune_core.errors import UserError
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.machines import Node, head
from sweeps.sweep import _room


class Interface(NamedTuple):
    address: str


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of heads that were asked, of a cluster of this machine and another one."""
    asked: list[str] = []

    def machines_of(address: str) -> list[tuple[str, Node]]:
        asked.append(address)
        return [("10.9.8.7", Node(4, 0, 2**33)), ("10.9.8.8", Node(4, 0, 2**33))]

    monkeypatch.setattr(head, "machines_of", machines_of)
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [Interface("10.9.8.7")]})
    return asked


def test_the_head_of_a_cluster_is_asked_once(asked: list[str], tmp_path) -> None:
    overrides = ("compute=ray", "compute.address=10.9.8.7:6379", f"storage.root={tmp_path}")
    settings = settings_of(compose([*overrides, "tracking=server", "tracking.uri=http://mlflow:5000"]))
    room = _room(settings)
    assert (room.slots, room.machines, room.addresses) == (8, 2, ("10.9.8.7", "10.9.8.8"))
    assert asked == ["10.9.8.7:6379"]


def test_a_database_file_does_not_suit_several_machines(asked: list[str], tmp_path) -> None:
    settings = settings_of(compose(["compute=ray", "compute.address=10.9.8.7:6379", f"storage.root={tmp_path}"]))
    with pytest.raises(UserError, match="tracking in a database file does not work on a cluster"):
        _room(settings)
