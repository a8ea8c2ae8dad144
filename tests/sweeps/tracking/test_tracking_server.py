"""The tracker and its address: a real server that is killed and started again, no server, another kind of server."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from prune_core.errors import UserError
from tests.helpers.drivers import client_of, wait_for
from tests.helpers.servers import Server, free_port
from tests.helpers.sweep_fixtures import commit, grid
from tests.helpers.trackers import PATIENCE_S, assert_each_once, make_tracker, prepared_store, run_sweep


@pytest.fixture
def away(tmp_path, empty_database) -> Iterator[Server]:
    """A server that does not run yet."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copyfile(empty_database, folder / "server.db")
    server = Server(folder, f"sqlite:///{folder}/server.db")
    yield server
    server.kill()


@pytest.fixture
def server(away) -> Server:
    away.start()
    return away


def test_a_server_killed_in_the_middle_loses_and_repeats_nothing(tmp_path, server):
    root = tmp_path / "outputs"
    plan, store = grid(20), prepared_store(root)
    problems: list[str] = []
    tracker = make_tracker(root, plan, problems, uri=server.uri)
    tracker.check()
    tracker.start()
    works = list(plan)
    for work in works[:10]:
        tracker.finished(work, commit(store, work), False)
    wait_for(lambda: len(tracker.run_ids) >= 5, "five runs", PATIENCE_S)
    server.kill()
    for work in works[10:]:
        tracker.finished(work, commit(store, work), False)
    wait_for(lambda: bool(problems), "a problem", PATIENCE_S)
    server.start()
    assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
    assert_each_once(client_of(root, server.uri), plan)
    assert len(problems) == 2
    assert "does not take results" in problems[0]
    assert "takes results again" in problems[1]


def test_without_a_server_results_wait_and_the_next_run_delivers_them(tmp_path, away):
    root, server = tmp_path / "outputs", away
    plan, store = grid(3), prepared_store(root)
    problems: list[str] = []
    tracker = make_tracker(root, plan, problems, uri=server.uri, on_unreachable="queue")
    tracker.check()
    tracker.start()
    for work in plan:
        tracker.finished(work, commit(store, work), False)
    wait_for(lambda: len(problems) == 2, "two problems", PATIENCE_S)  # one of the check, one of the outage
    assert tracker.finish("FINISHED", {}, {}, timeout_s=2) == len(list(plan)) + 1
    assert len(problems) == 2, problems

    server.start()
    assert run_sweep(root, plan, cached=True, uri=server.uri) == 0
    assert_each_once(client_of(root, server.uri), plan)

    # The server's machine loses power: of two files only the names are left.
    problems.clear()
    for lost in (*(tmp_path / "server").rglob("model.keras"), *(tmp_path / "server").rglob("masks.npz")):
        if "models" not in lost.parts:
            lost.write_bytes(b"")
    assert run_sweep(root, plan, cached=True, problems=problems, uri=server.uri) == 0
    assert_each_once(client_of(root, server.uri), plan)
    (said,) = problems
    assert f"{len(plan)} runs did not hold what is in the store" in said
    assert all(file.stat().st_size for file in (tmp_path / "server" / "artifacts").rglob("m*.*"))


def test_an_unreachable_server_is_refused_in_one_sentence_without_mlflow(tmp_path):
    code = (
        "import sys; from pathlib import Path; from prune_core.errors import UserError\n"
        "from tests.helpers.sweep_fixtures import grid; from tests.helpers.trackers import make_tracker\n"
        "tracker = make_tracker(Path(sys.argv[1]), grid(1), uri=sys.argv[2])\n"
        "try: tracker.check()\n"
        "except UserError as error: print(error)\n"
        "print('mlflow' in sys.modules)"
    )
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), uri], capture_output=True, text=True, check=True)
    sentence, imported = done.stdout.splitlines()
    assert sentence.startswith("tracking.uri=http://***@127.0.0.1:")
    assert "nobody answers there" in sentence
    assert imported == "False"


def test_something_else_than_mlflow_on_the_port_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()  # the check of the port
            connection.close()
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UserError, match="not an MLflow server"):
            make_tracker(tmp_path, grid(1), uri=uri).check()
        thread.join()
