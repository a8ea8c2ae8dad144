"""Further training with labels; what was removed stays zero."""

from collections.abc import Iterator

from prune_core.models.initializers import derived_seed
from prune_core.pruning import Progress, Pruning
from prune_core.training.loop import epochs


def finetune(pruning: Pruning) -> Iterator[Progress]:
    """Train the pruned network as `training.finetune` says, masks held after every step (Han et al. 2015)."""
    data = pruning.labelled("recovery=finetune")
    if not pruning.model.trainable_variables:
        pruning.warn("nothing was fine-tuned: no layer of the network is trainable")
        return
    config = pruning.training.section("finetune")
    checkpoint = pruning.training_state()
    trained = epochs(
        pruning.model,
        data,
        config,
        _seed(pruning),
        pruning.held_masks(),
        checkpoint=checkpoint,
        outputs=pruning.outputs,
    )
    for number, figures in enumerate(pruning.watch.each("finetune", trained), start=1):
        yield Progress(number / config.epochs, f"finetune, epoch {number}/{config.epochs}", figures)


def _seed(pruning: Pruning) -> int:
    """The method's own for the first training; later ones see the samples in another order."""
    number = pruning.training_number
    return pruning.seed if number <= 1 else derived_seed(pruning.seed, "training", str(number))
