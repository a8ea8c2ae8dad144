"""Tags of the runs in MLflow: what they are called and what they say. Those of who ran what are in `provenance`."""

from collections.abc import Mapping
from typing import Any

from sweeps.specs import BaselineSpec, Failure, Result, Work
from sweeps.tracking.artifacts import DIGEST, digest_of, digest_of_text
from sweeps.tracking.values import tags_of


def tags_of_result(work: Work, result: Result, shared: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    """Tags of finished work.

    Args:
        work: what was done.
        result: what came of it; its own tags are among them.
        shared: tags of every run of the sweep, and those that only the sweep can tell.
        texts: {path in the run's artifacts: content} of artifacts that are not files of the result.
    """
    tags = {**result.tags, **_of_work(work, shared), "status": "finished"}
    return tags_of({**tags, **_digest(result.files, texts)})


def tags_of_failure(failure: Failure, shared: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    """Tags of work that ended without a result; arguments as for `tags_of_result`."""
    tags = {**_of_work(failure.work, shared), "status": failure.status, "failure": failure.reason}
    return tags_of({**tags, "attempts": failure.attempts, **_digest({}, texts)})


def _of_work(work: Work, shared: Mapping[str, Any]) -> dict[str, Any]:
    tags = {**shared, "kind": work.kind, "baseline.key": work.baseline.key}
    return tags if isinstance(work, BaselineSpec) else {**tags, "trial.key": work.key}


def _digest(files: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """The tag that says which artifacts a run holds."""
    digests = {**files, **{name: digest_of_text(text) for name, text in texts.items()}}
    return {DIGEST: digest_of(digests)} if digests else {}
