"""Whether this machine is part of the cluster that a sweep is to run on, and which other machines are."""

from collections.abc import Sequence
from ipaddress import ip_address

import psutil

from prune_core.errors import UserError


def other_machines(address: str, machines: Sequence[str]) -> list[str]:
    """IP addresses of the cluster's machines other than this one.

    Args:
        address: compute.address, for the message.
        machines: IP addresses of all its machines (`Room.addresses`).

    Raises:
        UserError: this machine is not one of them, so that no driver can run here.
    """
    here = {own.address for interface in psutil.net_if_addrs().values() for own in interface}
    others = [ip for ip in machines if ip not in here and not ip_address(ip).is_loopback]
    if len(others) == len(machines):
        raise UserError(
            f"compute.address={address} is a cluster that does not include this machine: start the sweep on one of its "
            "machines, or submit it with prune-sweep submit compute=ray_jobs compute.address=http://..."
        )
    return others
