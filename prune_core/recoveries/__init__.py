"""What repairs a network after a step of pruning; several may follow one another.

To add one, write a function `(pruning: Pruning) -> None` in a file of this folder, or a generator that yields
`Progress`, and name it below. It changes `pruning.model` in place, sees the network before pruning as `pruning.dense`,
and leaves at zero what `pruning.masks` remove. Other packages add theirs through the entry-point group
"prune_core.recoveries", which points at a `Recovery`.
"""

from prune_core.axes import RECOVERIES, Recovery
from prune_core.entries import Parameter

__all__ = ["RECOVERIES", "Recovery"]

_SAMPLES = Parameter("whole", low=1, default=2000)

for _recovery in (
    Recovery("finetune", "prune_core.recoveries.finetune:finetune", trains=True, needs_data=True, needs_labels=True),
    Recovery(
        "batchnorm",
        "prune_core.recoveries.batchnorm:batchnorm",
        parameters={"samples": _SAMPLES},
        needs_data=True,
    ),
):
    RECOVERIES.register(_recovery.name, _recovery)
