"""Workers that die: what Ray says of it, and that nothing but their work is lost."""

import re
from typing import Any

from ray.exceptions import RayActorError, RayTaskError


def confine(actor_manager: Any) -> None:
    """Let Ray Tune's manager of actors take every error of Ray's at an actor as the end of this one actor.

    Left to itself, it raises on those that it does not know, such as the end by Ray's memory monitor: the whole Tune
    run ends with all its workers.
    """
    raises_on_unknown = actor_manager._actor_task_failed

    def failed(tracked_actor_task: Any, exception: Exception) -> None:
        if not isinstance(exception, (RayActorError, RayTaskError)):
            exception = RayActorError(error_msg=str(exception))
        raises_on_unknown(tracked_actor_task, exception)

    actor_manager._actor_task_failed = failed


def text_of(trial: Any) -> str:
    """What Ray says of the loss that a trial of Tune ended with; "" if it left nothing."""
    try:
        with open(trial.error_file) as file:
            return file.read().partition("\n")[2]
    except (OSError, TypeError):
        return ""


def cause_of_death(text: str) -> str:
    """The part of Ray's text that differs from case to case, as one line."""
    where = re.search(r"\b(?:ip|IP)[:=] ?([\w.:]*\w)", text)
    return f"its worker{f' on {where[1]}' if where else ''} died: {reason(text) or 'Ray says nothing about it'}"


def reason(text: str) -> str:
    """The same without the worker; "" if there is none."""
    if memory := re.search(r"Memory on the node .*? was (.*? used) / (.*?) limit", text):
        return f"memory was short there ({memory[1]} of {memory[2]})"
    if detail := re.search(r"Worker exit detail: (.*?)(?= Some common causes|$)", text, re.MULTILINE):
        return detail[1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def is_out_of_memory(text: str) -> bool:
    """Whether Ray ended the worker because of memory; its general advice names the OOM killer in every case."""
    return "OutOfMemoryError" in text or "low on memory" in text
