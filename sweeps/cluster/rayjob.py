"""The manifest of a RayJob: a Ray cluster that the KubeRay operator makes for one sweep and then deletes."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

API = "ray.io/v1"
LABELS = {"app.kubernetes.io/name": "prune-sweep"}
USER = 10001
"""User and group of our image."""
SECRETS = "/run/secrets/sweep"
SECRET_FILES = {"mlflow_credentials": "home/.mlflow/credentials", "aws_credentials": "aws_credentials"}
"""{key of the Kubernetes Secret: file below SECRETS}."""
WORK = "/work"
"""Where the volume claim appears; the image's working folder."""


@dataclass(frozen=True)
class KubeRaySettings:
    """The section compute.kuberay, explained in conf/compute/kuberay.yaml."""

    image: str = ""
    namespace: str | None = None
    workers: int = 2
    cpus_per_worker: int = 4
    gpus_per_worker: int = 0
    memory_mb_per_worker: int = 8192
    head_cpus: int = 1
    head_memory_mb: int = 4096
    node_selector: dict[str, str] = field(default_factory=dict)
    volume_claim: str | None = None
    credentials: str | None = None
    retries: int = 2
    ttl_s: int = 600
    deadline_s: int | None = None


def manifest(own: KubeRaySettings, name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The RayJob `name` that runs `python -m sweeps.run` with `arguments`."""
    spec: dict[str, Any] = {
        "entrypoint": shlex.join(["python", "-m", "sweeps.run", *arguments]),
        # Each retry is a new cluster, and runs the sweep again: finished work is not done again.
        "backoffLimit": own.retries,
        "submitterConfig": {"backoffLimit": 2},
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": own.ttl_s,
        "submitterPodTemplate": _pod(
            own, "ray-job-submitter", {"cpu": "500m", "memory": "512Mi"}, restartPolicy="Never"
        ),
        "rayClusterSpec": {
            "rayVersion": version("ray"),
            "authOptions": {"mode": "token"},
            "headGroupSpec": {
                # No trial runs on the head.
                "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
                "template": _pod(own, "ray-head", _amounts(own.head_cpus, own.head_memory_mb)),
            },
            "workerGroupSpecs": [
                {
                    "groupName": "workers",
                    "replicas": own.workers,
                    "minReplicas": own.workers,
                    "maxReplicas": own.workers,
                    "rayStartParams": {},
                    "template": _pod(
                        own,
                        "ray-worker",
                        _amounts(own.cpus_per_worker, own.memory_mb_per_worker, own.gpus_per_worker),
                        nodeSelector=dict(own.node_selector) or None,
                    ),
                }
            ],
        },
    }
    if own.deadline_s is not None:
        spec["activeDeadlineSeconds"] = own.deadline_s
    metadata = {"name": name, "labels": LABELS} | ({"namespace": own.namespace} if own.namespace else {})
    return {"apiVersion": API, "kind": "RayJob", "metadata": metadata, "spec": spec}


def _amounts(cpus: int, memory_mb: int, gpus: int = 0) -> dict[str, str]:
    amounts = {"cpu": str(cpus), "memory": f"{memory_mb}Mi"}
    return amounts | ({"nvidia.com/gpu": str(gpus)} if gpus else {})


def _pod(own: KubeRaySettings, container: str, amounts: Mapping[str, str], **others: Any) -> dict[str, Any]:
    """A pod with the least rights: not root, without a service account; only its volumes can be written."""
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}]
    environment = {}
    if own.volume_claim:
        volumes.append({"name": "work", "persistentVolumeClaim": {"claimName": own.volume_claim}})
        mounts.append({"name": "work", "mountPath": WORK})
    if own.credentials:
        items = [{"key": key, "path": path} for key, path in SECRET_FILES.items()]
        # A sweep needs one of them or both.
        secret = {"secretName": own.credentials, "items": items, "defaultMode": 0o440, "optional": True}
        volumes.append({"name": "secrets", "secret": secret})
        mounts.append({"name": "secrets", "mountPath": SECRETS})
        environment = {"HOME": f"{SECRETS}/home", "AWS_SHARED_CREDENTIALS_FILE": f"{SECRETS}/aws_credentials"}
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": container,
                "image": own.image,
                "env": [{"name": name, "value": value} for name, value in environment.items()],
                "resources": {"requests": dict(amounts), "limits": dict(amounts)},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
        **{key: value for key, value in others.items() if value is not None},
    }  # fmt: skip
    return {"metadata": {"labels": LABELS}, "spec": spec}
