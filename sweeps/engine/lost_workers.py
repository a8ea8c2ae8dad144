"""Workers that die: what Ray and the workers themselves say about it. Only their work is lost."""

import re
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import RayActorError, RayTaskError

from sweeps.engine import last_words
from sweeps.plain_text import plain

# All that Ray knows of most deaths is that the connection broke.
_WORDLESS = "somebody ended it (with SIGKILL, as Linux does when memory runs out), or it ended itself without a word"


def as_end_of_one(error: Exception) -> Exception:
    """Ray's error about a worker, as an error that Ray Tune understands as the end of this one worker.

    Tune does not know all errors, for example the one of Ray's memory monitor: it would end the run with all workers.
    """
    return error if isinstance(error, (RayActorError, RayTaskError)) else RayActorError(error_msg=str(error))


def text_of(trial: Any) -> str:
    """What Ray says about the loss that ended a trial of Tune; "" if it left no text."""
    try:
        with open(trial.error_file) as file:
            return file.read().partition("\n")[2]
    except (OSError, TypeError):
        return ""


@dataclass(frozen=True)
class Loss:
    """The end of a worker.

    Attributes:
        text: what Ray says about it.
        words: the worker's own last words; "" if they cannot be read.
    """

    text: str
    words: str = ""

    @classmethod
    def of(cls, text: str, logs: last_words.Logs | None) -> "Loss":
        """The loss that Ray's text is about; `logs`: of this node."""
        loss = cls(text)
        process = re.search(r"^\s*pid: (\d+)$", text, re.MULTILINE)
        return replace(loss, words=last_words.read(logs, int(process[1]), loss.node)) if process and logs else loss

    @property
    def node(self) -> str:
        """Address of the worker's node, "" if Ray does not name it."""
        where = re.search(r"\b(?:ip|IP)[:=] ?([\w.:]*\w)", self.text)
        return where[1] if where else ""

    @property
    def reason(self) -> str:
        """One sentence."""
        fate = "" if self.out_of_memory else last_words.fate(self.words)
        why = fate or reason(self.text) or "Ray says nothing about it"
        return f"its worker{f' on {self.node}' if self.node else ''} died: {why}"

    @property
    def out_of_memory(self) -> bool:
        """Whether Ray ended the worker for lack of memory. Ray's general advice names the OOM killer in every case."""
        return is_out_of_memory(self.text)

    @property
    def of_ray_itself(self) -> bool:
        """Whether Ray believes that the driver or its node is dead."""
        return "Owner's node has crashed" in self.text or "its owner has died" in self.text

    @property
    def traceback(self) -> str:
        """All that is known, for a person who looks for the cause."""
        said = self.words or "The worker's own last words are not known."
        return f"{said}\n\nRay says:\n{plain(self.text).strip()}\n"


def reason(text: str) -> str:
    """The part of Ray's text that differs from case to case, as one line; "" if there is none."""
    if memory := re.search(r"Memory on the node .*? was (.*? used) / (.*?) limit", text):
        return f"memory was short there ({memory[1]} of {memory[2]})"
    if detail := re.search(r"Worker exit detail: (.*?)(?= Some common causes|$)", text, re.MULTILINE):
        return _WORDLESS if "connection error code" in detail[1] else plain(detail[1])
    lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def is_out_of_memory(text: str) -> bool:
    """Whether Ray ended the worker for lack of memory. Ray's general advice names the OOM killer in every case."""
    return "OutOfMemoryError" in text or "low on memory" in text
