"""Workers on nodes other than the driver's, which have neither the driver's folders nor the person's own files."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from prune_core.errors import UserError
from prune_core.files import make_folder, remove_partial, write_atomically
from sweeps.process import own_folder
from sweeps.specs import BaselineSpec, Work
from sweeps.store import ResultStore

ANSWER_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class DriverNode:
    """What workers need to know of the driver's node.

    Attributes:
        node: its id in the cluster.
        cache: folder for copies on each other node; None: a folder of this user in the node's temporary folder.
        files: {path on the driver's node: reference to the content} of the files that networks are built from.
    """

    node: str
    cache: Path | None = None
    files: Mapping[str, ray.ObjectRef] = field(default_factory=dict)

    @classmethod
    def here(cls, cache: Path | None, baselines: Sequence[BaselineSpec]) -> "DriverNode":
        """The node of this process; the files of the baselines go into shared memory."""
        paths = {baseline.model_config.get("path") for baseline in baselines}
        files = {path: ray.put(Path(path).read_bytes()) for path in paths if path and Path(path).is_file()}
        return cls(ray.get_runtime_context().get_node_id(), cache, files)

    def is_here(self) -> bool:
        """Whether this process runs on the driver's node."""
        return ray.get_runtime_context().get_node_id() == self.node

    def copies(self) -> Path | None:
        """This node's folder for copies, which may be removed at any time; None on the driver's node.

        Raises:
            UserError: the folder belongs to another user.
        """
        if self.is_here():
            return None
        if self.cache is None:
            return own_folder()
        folder = self.cache
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise UserError(f"{folder} is somebody else's: name another folder with storage.cache=...")
        return folder

    def placed(self, work: Work) -> Work:
        """The work as this node can do it: the file that its network is built from is copied here."""
        folder = self.copies()
        if folder is None or not isinstance(work, BaselineSpec) or work.model_config.get("path") not in self.files:
            return work
        path = work.model_config["path"]
        copy = _written(ray.get(self.files[path]), folder / "files", Path(path).suffix)
        return replace(work, model_config={**work.model_config, "path": str(copy)})


def check_storage(store: ResultStore, driver: DriverNode, bundle: Mapping[str, float]) -> None:
    """Ask each other node that can hold `bundle`, the resources of one piece of work, whether it reaches the store.

    Raises:
        UserError: one of them does not.
    """
    others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != driver.node and _holds(node, bundle)]
    if not others:
        return
    with store.probe() as probe:
        answers = {
            _problem.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                name=f"storage as seen from {node['NodeManagerAddress']}",
            ).remote(store, driver, probe): node["NodeManagerAddress"]
            for node in others
        }
        for answer, address in answers.items():
            try:
                problem = ray.get(answer, timeout=ANSWER_TIMEOUT_S)
            except ray.exceptions.RayError as error:
                why = str(error).strip().splitlines()[-1]
                problem = f"nothing can be run ({why}): repair that node, or take it out of the cluster"
            if problem:
                raise UserError(f"on node {address} of the cluster, {problem}")


@ray.remote(num_cpus=0, max_retries=0)
def _problem(store: ResultStore, driver: DriverNode, probe: str) -> str:
    """Why work on this node would fail; "" if it would not."""
    try:
        if store.on_node(driver.copies()).sees(probe):
            return ""
    except UserError as error:
        return str(error)
    return f"{store.place} is not the same as on the driver: share that folder among all nodes, or set storage.uri"


def _holds(node: Mapping, bundle: Mapping[str, float]) -> bool:
    return all(node["Resources"].get(name, 0) >= amount for name, amount in bundle.items())


def _written(content: bytes, folder: Path, suffix: str) -> Path:
    """A file with the content, named after its sha256."""
    file = folder / (hashlib.sha256(content).hexdigest() + suffix)
    if not file.exists() or file.stat().st_size != len(content):
        make_folder(folder)
        remove_partial(folder)
        write_atomically(file, content)
    return file
