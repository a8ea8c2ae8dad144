"""What a network costs: multiply-accumulates, milliseconds, seconds of each step."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.measure.latency import Forward as Forward
    from prune_core.measure.latency import compare_latency as compare_latency
    from prune_core.measure.macs import OpenSize as OpenSize
    from prune_core.measure.macs import count_macs as count_macs
    from prune_core.measure.macs import register_macs_rule as register_macs_rule
    from prune_core.measure.stopwatch import Stopwatch as Stopwatch

_HOMES = {
    "Forward": "latency",
    "OpenSize": "macs",
    "Stopwatch": "stopwatch",
    "compare_latency": "latency",
    "count_macs": "macs",
    "register_macs_rule": "macs",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
