"""The dense network that a warm worker keeps from one trial to the next."""

from typing import TYPE_CHECKING, Any

from sweeps.specs import MODEL_FILE, OUTPUTS
from sweeps.store import ResultStore

if TYPE_CHECKING:
    from prune_core.tasks import OutputKind


class WarmBaseline:
    """A trained dense network as a warm worker keeps it: loaded once, its forward pass compiled once."""

    _kept: "WarmBaseline | None" = None

    def __init__(self, key: str, store: ResultStore) -> None:
        from prune_core.models.keras_file import load_network

        result = store.fetch(key)
        if result is None:
            raise FileNotFoundError(f"the baseline {key} is not in {store.root} any more: run the sweep again")
        self.identity = (key, store.root)
        self.metrics = result.metrics
        self._said = result.tags.get(OUTPUTS)
        self.model = load_network(store.folder(key) / MODEL_FILE)
        self._forward: Any = None

    @classmethod
    def of(cls, key: str, store: ResultStore) -> "WarmBaseline":
        """The baseline of this key; only the last one is kept, trials of one baseline come one after the other."""
        if cls._kept is None or cls._kept.identity != (key, store.root):
            cls._kept = None  # two networks at once may be too large
            cls._kept = cls(key, store)
        return cls._kept

    def outputs(self, data: Any) -> "OutputKind":
        """How its outputs are read, and the outputs of every network that is made from it."""
        from prune_core.tasks import OutputKind, find_outputs

        return OutputKind(self._said) if self._said else find_outputs(self.model, data.x_train).kind

    def forward(self, batch_size: int, sample_shape: tuple[int, ...]) -> Any:
        """Its compiled forward pass."""
        from prune_core.measure import Forward

        if self._forward is None or self._forward.batch_size != batch_size:
            self._forward = Forward(self.model, batch_size, sample_shape=sample_shape)
        return self._forward
