"""Training, fine-tuning under masks, and evaluation."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.training.checkpoint import EpochCheckpoint as EpochCheckpoint
    from prune_core.training.checkpoint import Variable as Variable
    from prune_core.training.checkpoint import epochs_done as epochs_done
    from prune_core.training.config import TrainingConfig as TrainingConfig
    from prune_core.training.given_data import as_splits as as_splits
    from prune_core.training.given_data import check_samples as check_samples
    from prune_core.training.given_data import check_training_data as check_training_data
    from prune_core.training.given_data import with_class_indices as with_class_indices
    from prune_core.training.loop import Evaluation as Evaluation
    from prune_core.training.loop import Figures as Figures
    from prune_core.training.loop import TrainingData as TrainingData
    from prune_core.training.loop import TrainingDiverged as TrainingDiverged
    from prune_core.training.loop import drain as drain
    from prune_core.training.loop import epochs as epochs
    from prune_core.training.loop import evaluate as evaluate
    from prune_core.training.loop import finetune as finetune
    from prune_core.training.loop import mask_holder as mask_holder
    from prune_core.training.loop import predict as predict
    from prune_core.training.loop import run_epochs as run_epochs
    from prune_core.training.loop import train as train

_HOMES = {
    "EpochCheckpoint": "checkpoint",
    "Figures": "loop",
    "TrainingConfig": "config",
    "TrainingData": "loop",
    "Variable": "checkpoint",
    "as_splits": "given_data",
    "check_samples": "given_data",
    "check_training_data": "given_data",
    "drain": "loop",
    "epochs": "loop",
    "epochs_done": "checkpoint",
    "evaluate": "loop",
    "finetune": "loop",
    "mask_holder": "loop",
    "run_epochs": "loop",
    "Evaluation": "loop",
    "TrainingDiverged": "loop",
    "predict": "loop",
    "train": "loop",
    "with_class_indices": "given_data",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
