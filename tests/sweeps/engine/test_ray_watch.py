"""The watch over Ray, with real processes and sockets in Ray's place."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace

import psutil
import pytest

from sweeps.engine import watched_connections
from sweeps.engine.lost_ray import RayLost
from sweeps.engine.ray_watch import RayWatch

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def node(tmp_path):
    """What Ray has for a node that this process has started: two processes, and a socket of the object store."""
    processes = {name: subprocess.Popen(SLEEP) for name in ("gcs_server", "raylet")}
    yield SimpleNamespace(
        all_processes={name: [SimpleNamespace(process=process)] for name, process in processes.items()},
        is_head=lambda: True,
        plasma_store_socket_name=str(tmp_path / "plasma_store"),
        processes=processes,
    )
    for process in processes.values():
        process.kill()
        process.wait()


def watch(node) -> RayWatch:
    return RayWatch(lambda: node, last_resort=lambda: None)


@pytest.mark.parametrize(("part", "name"), [("raylet", "raylet"), ("gcs_server", "head (gcs_server)")])
def test_what_waits_for_a_lost_ray_is_left_alone(node, part, name):
    begun = threading.Event()

    def wait_for_ever():
        begun.set()
        threading.Event().wait()

    def kill():
        begun.wait()
        node.processes[part].kill()

    threading.Thread(target=kill).start()
    with pytest.raises(RayLost) as caught, watch(node) as watched:
        watched.call(wait_for_ever)
    assert str(caught.value).startswith(f"Ray is lost, its {name} has died (SIGKILL): run the same command again")
    assert watched.is_lost()


def test_as_long_as_ray_lives_nothing_is_changed(node):
    done = []
    with watch(node) as watched:
        watched.call(lambda: done.append(threading.current_thread() is not threading.main_thread()))
        with pytest.raises(ZeroDivisionError):
            watched.call(lambda: 1 / 0)
        assert not watched.is_lost()
    assert done == [True]


def test_an_error_of_a_ray_that_is_lost_is_not_the_works(node):
    def fail():
        node.processes["raylet"].kill()
        psutil.wait_procs([psutil.Process(node.processes["raylet"].pid)], timeout=60)
        raise ValueError("actor unavailable")

    with pytest.raises(RayLost), watch(node) as watched:
        watched.call(fail)


def test_whoever_asks_the_object_store_then_waits_instead_of_being_ended(node):
    with socket.socket(socket.AF_UNIX) as store, socket.socket(socket.AF_UNIX) as ours:
        store.bind(node.plasma_store_socket_name)
        store.listen()
        ours.connect(node.plasma_store_socket_name)
        theirs, _ = store.accept()
        with suppress(RayLost), watch(node) as watched:
            assert not watched.is_lost()
            node.processes["raylet"].kill()
            node.processes["raylet"].wait()
            theirs.close()
            assert watched.is_lost()
            ours.sendall(b"a request")  # nothing is broken
            ours.setblocking(False)
            with pytest.raises(BlockingIOError):
                ours.recv(1)


STUCK = """
import subprocess, sys, threading
from types import SimpleNamespace
from sweeps.engine import ray_watch
ray_watch.PATIENCE_S = 0.2
raylet = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
node = SimpleNamespace(all_processes={"raylet": [SimpleNamespace(process=raylet)]}, is_head=lambda: True,
                       plasma_store_socket_name="none")
with ray_watch.RayWatch(lambda: node, last_resort=lambda: print("the rest is ended", flush=True)):
    raylet.kill()
    threading.Event().wait()
"""


def test_a_process_that_waits_for_ray_itself_is_ended_with_the_sentence():
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "the rest is ended\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Ray is lost, its raylet has died (SIGKILL): run the same command again to go on")


def test_a_head_that_comes_back_is_waited_for(monkeypatch, caplog):
    monkeypatch.setattr(watched_connections, "_ASK_EVERY_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        head = watched_connections.Head(address)
        assert head.seconds_away() == 0
    assert head.seconds_away() > 0
    assert head.seconds_away() > 0
    with socket.create_server(("127.0.0.1", int(address.split(":")[1]))):
        assert head.seconds_away() <= 0
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "is waited for" in said[0]
    assert "answers again" in said[1]


def test_descriptors_that_are_no_sockets_are_left_alone():
    with open(os.devnull) as file:
        assert watched_connections._peer(file.fileno()) is None


def test_of_a_ray_that_somebody_else_has_started_this_nodes_raylet_is_watched(node):
    """Several nodes may run on one machine, with names of which one begins with the other."""
    name = f"{node.plasma_store_socket_name}/raylet"
    ours, other = (subprocess.Popen([*SLEEP, f"--raylet_socket_name={which}"]) for which in (name, f"{name}.1"))
    joined = SimpleNamespace(
        all_processes={},
        raylet_socket_name=name,
        is_head=lambda: True,
        plasma_store_socket_name=node.plasma_store_socket_name,
    )
    try:
        with suppress(RayLost), watch(joined) as watched:
            other.kill()
            other.wait()
            assert not watched.is_lost()
            ours.kill()
            ours.wait()
            assert watched.is_lost()
    finally:
        ours.kill()
        other.kill()
