"""The configuration: composed by Hydra, read into checked settings."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.config.axes import Axes as Axes
    from sweeps.config.axes import canonical as canonical
    from sweeps.config.axes import identity as identity
    from sweeps.config.checks import at_least as at_least
    from sweeps.config.checks import folder as folder
    from sweeps.config.checks import one_of as one_of
    from sweeps.config.checks import typed as typed
    from sweeps.config.compose import MANY as MANY
    from sweeps.config.compose import choices as choices
    from sweeps.config.compose import conf_folder as conf_folder
    from sweeps.config.compose import override as override
    from sweeps.config.per_layer import PER_LAYER as PER_LAYER
    from sweeps.config.per_layer import Layers as Layers
    from sweeps.config.per_layer import axis_of as axis_of
    from sweeps.config.per_layer import check_lists as check_lists
    from sweeps.config.per_layer import gathered as gathered
    from sweeps.config.per_layer import layers_of as layers_of
    from sweeps.config.read import settings_of as settings_of
    from sweeps.config.reference import Reference as Reference
    from sweeps.config.reference import ReferencePoint as ReferencePoint
    from sweeps.config.settings import TARGETS as TARGETS
    from sweeps.config.settings import ComputeSettings as ComputeSettings
    from sweeps.config.settings import SearchSettings as SearchSettings
    from sweeps.config.settings import Settings as Settings
    from sweeps.config.settings import StorageSettings as StorageSettings
    from sweeps.config.settings import TrackingSettings as TrackingSettings

_HOMES = {
    "Axes": "axes",
    "ComputeSettings": "settings",
    "Layers": "per_layer",
    "MANY": "compose",
    "PER_LAYER": "per_layer",
    "Reference": "reference",
    "ReferencePoint": "reference",
    "SearchSettings": "settings",
    "Settings": "settings",
    "StorageSettings": "settings",
    "TARGETS": "settings",
    "TrackingSettings": "settings",
    "at_least": "checks",
    "axis_of": "per_layer",
    "canonical": "axes",
    "check_lists": "per_layer",
    "choices": "compose",
    "conf_folder": "compose",
    "folder": "checks",
    "gathered": "per_layer",
    "identity": "axes",
    "layers_of": "per_layer",
    "one_of": "checks",
    "override": "compose",
    "settings_of": "read",
    "typed": "checks",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
