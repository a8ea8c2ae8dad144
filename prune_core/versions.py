"""Versions of single computations: raising one makes the results that it enters be made anew, and no others.

A version is raised by hand when a computation gives other numbers than before, and the change is listed in
CHANGELOG.md. A score carries its own (`Score.version`), so that packages that add scores can raise theirs. Plan-time:
no TensorFlow.
"""

from prune_core.scores import SCORES
from prune_core.spec import MethodSpec

GIVEN_NETWORK = 2
"""How a network from a file is copied, trained and evaluated."""
WEIGHT_SHARING = 2
"""How k-means chooses the values that weights share."""


def versions_of_network(is_given: bool) -> dict[str, int]:
    """What has changed since its first version of the computations that make a dense network."""
    return _raised({"given_network": GIVEN_NETWORK if is_given else 1})


def versions_of_method(spec: MethodSpec) -> dict[str, int]:
    """What has changed since its first version of the computations that a method does: {name: version}.

    Raises:
        UserError: an unknown score.
    """
    scores = {} if spec.selection == "none" else {f"score.{spec.score}": SCORES.get(spec.score).version}
    return _raised({**scores, "weight_sharing": 1 if spec.n_clusters is None else WEIGHT_SHARING})


def _raised(versions: dict[str, int]) -> dict[str, int]:
    """First versions are left out, so that keys from before a computation had a version hold."""
    return {name: version for name, version in versions.items() if version > 1}
