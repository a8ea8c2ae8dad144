"""In several steps, with the recovery after each."""

from collections.abc import Iterator
from dataclasses import replace

from prune_core.pruning import Progress, Pruning


def iterative(pruning: Pruning) -> Iterator[Progress]:
    """Reach the method's amount (sparsity or threshold) in `steps` steps; what is removed stays removed.

    Han et al. 2015 (arXiv:1506.02626). After step i of n the amount is s * (1 - (1 - i / n)^3) with `curve` "cubic"
    (Zhu & Gupta 2017, arXiv:1710.01878), which removes most in the first steps, or s * i / n with "linear".
    """
    settings = pruning.settings_of(pruning.spec.schedule_entry)
    steps = settings["steps"]
    for step in range(1, steps + 1):
        pruning.select(share_at(step / steps, settings["curve"]))
        before = f"step {step}/{steps}"
        yield Progress((step - 1) / steps, f"{before}, pruned", {"sparsity": pruning.sparsity()})
        for progress in pruning.recover():
            yield replace(
                progress,
                fraction=(step - 1 + progress.fraction) / steps,
                note=f"{before}, {progress.note}".rstrip(", "),
            )


def share_at(time: float, curve: str) -> float:
    """Part of the amount that is reached at `time` in (0, 1]; exactly 1 at the end."""
    return {"cubic": 1 - (1 - time) ** 3, "linear": time}[curve]
