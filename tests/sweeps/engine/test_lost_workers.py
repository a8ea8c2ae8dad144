"""What is said of workers that died, as Ray 2.60 words it and as Python and the workers themselves do."""

import subprocess
import sys

import pytest

from sweeps.engine import last_words, lost_workers

OUT_OF_MEMORY = """1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 127.0.0.1, \
ID: d18) was 2.23GB used / 3.00GB limit (0.743876)
OOM kill reason: Memory usage 2264338432B exceeded threshold of 2254857728B (70.0% of 3221225472B limit)
Ray killed 1 worker(s) based on the killing policy
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/. Consider \
provisioning more memory on this node.
"""
BROKEN = """The actor died unexpectedly before finishing this task.
\tclass_name: ResourceTrainable
\tpid: 19623
\tip: 127.0.0.1
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the OOM killer, (2) ...
"""
CRASH = """:job_id:01000000
prune-sweep begins: an earlier trial
what that one said
prune-sweep begins: this trial
terminate called after throwing an instance of 'std::bad_alloc'
*** SIGABRT received at time=1795808243 on cpu 1 ***
PC: @     0x7f14c7985ad8  (unknown)  (unknown)
[2026-11-27 19:37:23,367 E 19623 19623] logging.cc:474: *** SIGABRT received at time=1795808243 on cpu 1 ***
Fatal Python error: Aborted

Stack (most recent call first):
  File "mine.py", line 11 in go
"""


def test_of_what_ray_says_of_a_death_one_sentence_is_left():
    said = "its worker on 127.0.0.1 died: memory was short there (2.23GB used of 3.00GB)"
    loss = lost_workers.Loss(OUT_OF_MEMORY, "prune-sweep: os._exit(1) was called")
    assert (loss.reason, loss.out_of_memory) == (said, True)
    assert lost_workers.Loss("first\nip: 10.0.0.1\nlast\n\n").reason == "its worker on 10.0.0.1 died: last"
    assert lost_workers.Loss("").reason == "its worker died: Ray says nothing about it"


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "worker-7f6973bed46ca39f-01000000-19623.err").write_text(CRASH)
    (tmp_path / "worker-7f6973bed46ca39f-01000000-9623.err").write_text("of another one")
    return last_words.Logs(tmp_path, "127.0.0.1")


def test_a_crash_is_named_and_its_last_words_are_those_of_the_work_itself(logs):
    loss = lost_workers.Loss.of(BROKEN, logs)
    assert loss.reason == "its worker on 127.0.0.1 died: SIGABRT, aborted"
    assert loss.words.startswith("terminate called after throwing an instance of 'std::bad_alloc'\n*** SIGABRT")
    assert loss.words.endswith('File "mine.py", line 11 in go')
    assert loss.traceback.startswith(loss.words)
    assert "exit type: SYSTEM_ERROR" in loss.traceback


def test_a_death_without_a_word_is_not_called_a_connection_error(tmp_path):
    loss = lost_workers.Loss.of(BROKEN, last_words.Logs(tmp_path, "127.0.0.1"))
    assert "connection error" not in loss.reason
    assert "SIGKILL" in loss.reason
    assert not loss.out_of_memory
    assert "last words are not known" in loss.traceback


def test_a_process_of_another_node_is_another_one(logs):
    assert lost_workers.Loss.of(BROKEN.replace("127.0.0.1", "10.0.0.7"), logs).words == ""


def test_who_calls_os_exit_is_named(tmp_path):
    """In the process itself, not in a child that it has forked."""
    script = """
import os
from sweeps.engine import last_words
last_words.say_exits()
last_words.say_exits()
last_words.begin("a trial")
def leave(): os._exit(3)
child = os.fork()
if not child:
    os._exit(0)
os.waitpid(child, 0)
leave()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    (tmp_path / "worker-a-b-7.err").write_text(done.stderr)
    words = last_words.read(last_words.Logs(tmp_path, "here"), 7, "here")
    assert last_words.fate(words) == "its own code called os._exit(3)"
    assert words.count("os._exit(") == 1
    assert "in leave" in words
    assert "in exit_with_a_word" not in words
