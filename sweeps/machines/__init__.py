"""What machines offer, and what a cluster says about itself."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.machines.capacity import MIB as MIB
    from sweeps.machines.capacity import MIN_OBJECT_STORE as MIN_OBJECT_STORE
    from sweeps.machines.capacity import Node as Node
    from sweeps.machines.capacity import Request as Request
    from sweeps.machines.capacity import Room as Room
    from sweeps.machines.capacity import local_node as local_node
    from sweeps.machines.capacity import room_for as room_for
    from sweeps.machines.head import machines_of as machines_of
    from sweeps.machines.joined import other_machines as other_machines
    from sweeps.machines.room import place_of as place_of
    from sweeps.machines.room import room_of as room_of
    from sweeps.machines.token import REFUSED as REFUSED
    from sweeps.machines.token import ready_token as ready_token

_HOMES = {
    "MIB": "capacity",
    "MIN_OBJECT_STORE": "capacity",
    "Node": "capacity",
    "REFUSED": "token",
    "Request": "capacity",
    "Room": "capacity",
    "local_node": "capacity",
    "machines_of": "head",
    "other_machines": "joined",
    "place_of": "room",
    "ready_token": "token",
    "room_for": "capacity",
    "room_of": "room",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
