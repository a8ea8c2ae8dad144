"""Results by content key, on this machine and where all machines of a cluster reach them."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.store.local import RECORD as RECORD
    from sweeps.store.local import ResultStore as ResultStore
    from sweeps.store.local import is_key as is_key
    from sweeps.store.locks import only_driver as only_driver
    from sweeps.store.remote import StorageAway as StorageAway
    from sweeps.store.remote import StorageFull as StorageFull
    from sweeps.store.shared import open_store as open_store

_HOMES = {
    "RECORD": "local",
    "ResultStore": "local",
    "StorageAway": "remote",
    "StorageFull": "remote",
    "is_key": "local",
    "only_driver": "locks",
    "open_store": "shared",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
