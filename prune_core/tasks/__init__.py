"""What a network is trained for: how its outputs and labels are read, and the loss."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.tasks.compiled_loss import CompiledLoss as CompiledLoss
    from prune_core.tasks.compiled_loss import loss_of_archive as loss_of_archive
    from prune_core.tasks.cross_entropy import classes_of as classes_of
    from prune_core.tasks.cross_entropy import hits as hits
    from prune_core.tasks.cross_entropy import log_probabilities as log_probabilities
    from prune_core.tasks.labels import Labels as Labels
    from prune_core.tasks.labels import check_layout as check_layout
    from prune_core.tasks.labels import class_indices as class_indices
    from prune_core.tasks.output_kind import OutputKind as OutputKind
    from prune_core.tasks.outputs import answers_of as answers_of
    from prune_core.tasks.outputs import find_outputs as find_outputs
    from prune_core.tasks.outputs import is_single as is_single
    from prune_core.tasks.outputs import refuse_dropout_behind as refuse_dropout_behind

_HOMES = {
    "CompiledLoss": "compiled_loss",
    "Labels": "labels",
    "OutputKind": "output_kind",
    "answers_of": "outputs",
    "check_layout": "labels",
    "class_indices": "labels",
    "classes_of": "cross_entropy",
    "find_outputs": "outputs",
    "hits": "cross_entropy",
    "is_single": "outputs",
    "log_probabilities": "cross_entropy",
    "loss_of_archive": "compiled_loss",
    "refuse_dropout_behind": "outputs",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
