"""How much work fits at once where the settings say: on this machine, or on a cluster, whose head is asked."""

from dataclasses import replace

from sweeps.config.settings import ComputeSettings
from sweeps.machines.capacity import Request, Room, local_node, room_for


def room_of(compute: ComputeSettings) -> Room:
    """How much fits at once where the settings say. Ray is not started; the head of a cluster is asked.

    Raises:
        UserError: a trial asks for more than there is, the cluster does not answer or does not let us in.
    """
    request, place, most = Request.of(compute), place_of(compute), compute.max_concurrent
    if compute.address is None:
        return room_for(request, [local_node(compute)], place, most)
    from sweeps.machines.head import machines_of

    machines = machines_of(compute.address)
    room = room_for(request, [node for _, node in machines], place, most)
    return replace(room, addresses=tuple(address for address, _ in machines))


def place_of(compute: ComputeSettings) -> str:
    """What messages call the place where the work is done: "this machine"."""
    return "this machine" if compute.address is None else f"the cluster at {compute.address}"
