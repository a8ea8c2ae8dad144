"""A real Slurm cluster on namespace hosts: munge, a controller on the first one, a node daemon on each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.helpers.cluster.hosts import Host, Network, require_hosts
from tests.helpers.drivers import ROOT, wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
START_S = 120.0
_CGROUPS = ("freezer", "memory", "cpuset", "cpuacct", "cpu", "devices", "pids")
_CONF = """\
ClusterName=test
SlurmctldHost={names[0]}({addresses[0]})
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MessageTimeout=60
KillWait=30
TaskProlog={folder}/prolog.sh
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """Hosts that take batch jobs.

    Args:
        folder: of its configuration, state and logs.
    """

    def __init__(self, folder: Path, hosts: Sequence[Host], cpus: int = 2) -> None:
        self.hosts = hosts
        self._folder = folder
        self._cpus = cpus
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def start(self) -> None:
        """Start all daemons and wait until every node is idle."""
        self._configure()
        munge = [f"--{name}={self._folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file", "log-file")]
        key, seed = self._folder / "munge.key", self._folder / "munge.seed"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        # One munge is enough: its socket is a file, and the hosts share the disk.
        self.hosts[0].run("munged", "--force", f"--key-file={key}", f"--seed-file={seed}", *munge)
        self.start_controller()
        for host in self.hosts:
            host.run("sh", "-c", "mount -t tmpfs tmpfs /sys/fs/cgroup")
            for name in _CGROUPS:
                host.run("mkdir", f"/sys/fs/cgroup/{name}")
                host.run("mount", "-t", "cgroup", "-o", name, "cgroup", f"/sys/fs/cgroup/{name}")
            log = self._folder / f"{host.name}.out"
            host.start("slurmd", "-D", "-N", host.name, log=log, environment=self.environment)
        wait_for(lambda: self._idle() == len(self.hosts), "idle nodes", START_S)

    def start_controller(self) -> None:
        log = self._folder / "controller.out"
        self.hosts[0].start("slurmctld", "-D", log=log, environment=self.environment)

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints on the first host."""
        return self.hosts[0].run(*command, environment=self.environment)

    def _idle(self) -> int:
        try:
            return self.ask("sinfo", "--noheader", "--Node", "--format=%T").split().count("idle")
        except subprocess.CalledProcessError:
            return 0

    def _configure(self) -> None:
        for name in ("state", *(f"spool-{host.name}" for host in self.hosts)):
            (self._folder / name).mkdir()
        memory = psutil.virtual_memory().total // 2**20 // 2
        nodes = "\n".join(
            f"NodeName={host.name} NodeAddr={host.ip} CPUs={self._cpus} RealMemory={memory}" for host in self.hosts
        )
        names, addresses = [host.name for host in self.hosts], [host.ip for host in self.hosts]
        conf = _CONF.format(names=names, addresses=addresses, folder=self._folder, nodes=nodes)
        (self._folder / "slurm.conf").write_text(conf)
        # The private part of /tmp of each node, on hosts that share a disk.
        prolog = self._folder / "prolog.sh"
        prolog.write_text("#!/bin/sh\necho export TMPDIR=/tmp/ray\n")
        prolog.chmod(0o755)
        (self._folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")


@contextmanager
def slurm(folder: Path, n_hosts: int) -> Iterator[tuple[SlurmCluster, str]]:
    """A cluster, and this machine's address on its network. Skips where Slurm is not installed."""
    require_hosts()
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: install Debian's slurm-wlm and munge to run this")
    with Network(n_hosts) as network:
        place = folder / "slurm"
        place.mkdir()
        cluster = SlurmCluster(place, network.hosts)
        cluster.start()
        yield cluster, network.address
