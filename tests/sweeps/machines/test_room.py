"""What is refused before anything starts, and how much fits at once."""

import socket
from dataclasses import replace
from typing import NamedTuple

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_core.errors import UserError
from sweeps.config import ComputeSettings
from sweeps.machines import MIB, Node, Request, local_node, other_machines, room_for, room_of
from sweeps.machines.capacity import memory_limit, physical_gpus

LOCAL = ComputeSettings(num_cpus=4, num_gpus=2)


@pytest.mark.parametrize(
    ("node", "request_", "fits"),
    [
        (Node(4, 0, 0), Request(1, 0, None), 4),
        (Node(4, 0, 0), Request(1.5, 0, None), 2),
        (Node(4, 0, 0), Request(0.1, 0, None), 40),
        (Node(16, 1, 0), Request(1, 0.25, None), 4),
        (Node(16, 2, 0), Request(1, 0.4, None), 4),  # two a GPU: 0.4 is not put together from two GPUs
        (Node(16, 3, 0), Request(1, 2, None), 1),
        (Node(16, 0, 1024 * MIB), Request(1, 0, 300), 3),
        (Node(4, 0, 0), Request(1, 0.25, None), 0),
    ],
)
def test_how_much_fits_on_a_node(node, request_, fits):
    assert node.holds(request_) == fits


@given(
    st.integers(1, 64), st.floats(0.05, 64), st.integers(0, 8), st.floats(0, 8).filter(lambda g: g <= 1 or g == int(g))
)
def test_what_fits_never_asks_for_more_than_there_is(cpus, per_trial, gpus, gpus_per_trial):
    count = Node(cpus, gpus, 0).holds(Request(per_trial, gpus_per_trial, None))
    assert count * per_trial <= cpus + 1e-6
    assert count * gpus_per_trial <= gpus + 1e-6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gpus_per_trial": 3}, "compute.gpus_per_trial=3 is more than this machine has (2)"),
        ({"cpus_per_trial": 8}, "compute.cpus_per_trial=8 is more than this machine has (4)"),
        ({"memory_mb_per_trial": 10**9}, "compute.memory_mb_per_trial=1000000000 is more than this machine has"),
        ({"num_gpus": 0, "gpus_per_trial": 0.25}, "compute.gpus_per_trial=0.25 is more than this machine has (0)"),
        ({"address": "nonsense"}, "compute.address='nonsense' must be auto or host:port"),
        ({"address": "ray://host:10001"}, "must be auto or host:port"),
        ({"address": "host:99999"}, "must be auto or host:port"),
    ],
)
def test_impossible_requests_are_refused_in_one_sentence(changes, sentence):
    with pytest.raises(UserError) as refusal:
        room_of(replace(LOCAL, **changes))
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_logical_gpus_and_what_fits_are_let_through():
    room_of(replace(LOCAL, num_gpus=4, gpus_per_trial=0.25))
    room_of(LOCAL)


def test_an_address_that_nobody_listens_on_is_refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=f"compute.address=127.0.0.1:{port} does not answer"):
        room_of(replace(LOCAL, address=f"127.0.0.1:{port}"))


def test_no_single_node_of_a_cluster_has_enough():
    cluster = [Node(8, 0, 0), Node(2, 4, 0)]
    assert room_for(Request(2, 0, None), cluster, "the cluster").slots == 5
    with pytest.raises(UserError, match="no machine of the cluster has 4 CPUs, 1 GPUs together"):
        room_for(Request(4, 1, None), cluster, "the cluster")


@pytest.mark.parametrize(
    ("request_", "most", "said"),
    [
        (Request(1, 0.25, None), None, "up to 10 at once on 2 machines (8 of 18 CPUs idle)"),
        (Request(4, 0.25, None), None, "up to 2 at once (2.5 of 3 GPUs, 10 of 18 CPUs idle)"),
        (Request(1, 1, None, "T4"), None, "up to 1 at once (2 of 3 GPUs, 17 of 18 CPUs idle)"),
        (Request(1, 0, None), None, "up to 18 at once on 3 machines (3 of 3 GPUs idle)"),
        (Request(1, 0, None), 2, "up to 2 at once on 2 machines (3 of 3 GPUs, 16 of 18 CPUs idle)"),
    ],
)
def test_what_idles_is_said(request_, most, said):
    mixed = [Node(8, 0, 0), Node(8, 2, 0, frozenset({"A100"})), Node(2, 1, 0, frozenset({"T4"}))]
    assert str(room_for(request_, mixed, "the cluster", most)) == said


def test_a_type_of_gpu_that_no_machine_has_is_refused():
    mixed = [Node(8, 0, 0), Node.of({"CPU": 8, "GPU": 2, "accelerator_type:A100": 1})]
    assert room_for(Request(1, 1, None, "A100"), mixed, "the cluster").slots == 2
    with pytest.raises(UserError, match=r"compute\.accelerator_type=H100 is in no machine of the cluster: it has A100"):
        room_for(Request(1, 1, None, "H100"), mixed, "the cluster")
    with pytest.raises(UserError, match="none of them tells Ray what GPUs it has"):
        room_for(Request(1, 1, None, "H100"), mixed[:1], "the cluster")


def test_local_node_is_what_the_settings_say_or_what_is_there(monkeypatch):
    assert (local_node(LOCAL).cpus, local_node(LOCAL).gpus) == (4, 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert physical_gpus() == 0
    assert local_node(ComputeSettings()).gpus == 0
    assert local_node(ComputeSettings()).cpus >= 1
    assert 0 < local_node(LOCAL).memory < memory_limit()


class Interface(NamedTuple):
    address: str


@pytest.mark.parametrize(
    ("machines", "others"),
    [(["127.0.0.1"], []), (["10.9.8.7"], []), (["10.9.8.7", "10.9.8.8"], ["10.9.8.8"])],
)
def test_other_machines_of_a_cluster_are_told_from_this_one(monkeypatch, machines, others):
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [Interface("10.9.8.7")]})
    assert other_machines("10.9.8.7:6379", machines) == others


def test_a_cluster_without_this_machine_is_refused(monkeypatch):
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [Interface("10.9.8.7")]})
    with pytest.raises(
        UserError, match=r"compute\.address=10\.9\.8\.8:6379 is a cluster that does not include this machine"
    ):
        other_machines("10.9.8.8:6379", ["10.9.8.8", "10.9.8.9"])
