"""Masks of weights: applied, counted, stored."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.masks.apply import apply_masks as apply_masks
    from prune_core.masks.apply import count_parameters as count_parameters
    from prune_core.masks.apply import kernel_sparsity as kernel_sparsity
    from prune_core.masks.apply import save_masks as save_masks
    from prune_core.masks.files import load_masks as load_masks
    from prune_core.masks.held_zeros import count_zeros as count_zeros
    from prune_core.masks.held_zeros import merged as merged
    from prune_core.masks.held_zeros import zeros_of as zeros_of

_HOMES = {
    "apply_masks": "apply",
    "count_parameters": "apply",
    "count_zeros": "held_zeros",
    "kernel_sparsity": "apply",
    "load_masks": "files",
    "merged": "held_zeros",
    "save_masks": "apply",
    "zeros_of": "held_zeros",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
