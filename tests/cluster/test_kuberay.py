"""The RayJob that a sweep becomes, held against KubeRay's and Kubernetes's schemas, and what kubectl is told."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from prune_core.errors import UserError
from sweeps.cluster.command import act

TARGET = ("compute=kuberay", "tracking=server", "tracking.uri=http://mlflow:5000")
WHOLE = (*TARGET, "compute.kuberay.image=prune-sweep:1", "compute.kuberay.volume_claim=work")
GPUS = ("compute.gpus_per_trial=0.25", "compute.kuberay.gpus_per_worker=2", "++compute.kuberay.node_selector={gpu: l4}")
SCHEMA = yaml.safe_load(Path(__file__).with_name("rayjob_schema.yaml").read_text())


def manifest(capsys: pytest.CaptureFixture[str], *overrides: str) -> dict[str, Any]:
    """What `prune-sweep submit --print` shows."""
    assert act(["--print", *overrides]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates of a RayJob: head, workers, submitter."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [*(group["template"] for group in groups), job["spec"]["submitterPodTemplate"]]


@pytest.mark.parametrize(
    "overrides",
    [(), GPUS, ("compute.kuberay.credentials=sweep", "compute.kuberay.namespace=lab", "compute.kuberay.deadline_s=60")],
)
def test_manifest_is_what_kuberay_and_kubernetes_take(
    overrides: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    job = manifest(capsys, *WHOLE, *overrides)
    jsonschema.Draft202012Validator(SCHEMA).validate(job)
    for template in pods(job):
        pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "a"}}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_schema_refuses_what_a_cluster_would_drop(capsys: pytest.CaptureFixture[str]) -> None:
    job = manifest(capsys, *WHOLE)
    job["spec"]["rayClusterSpec"]["authOption"] = {"mode": "token"}
    with pytest.raises(jsonschema.ValidationError, match="authOption"):
        jsonschema.Draft202012Validator(SCHEMA).validate(job)


def test_pods_may_do_nothing_that_they_need_not(capsys: pytest.CaptureFixture[str]) -> None:
    job = manifest(capsys, *WHOLE, "compute.kuberay.credentials=sweep")
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    for template in pods(job):
        spec, (container,) = template["spec"], template["spec"]["containers"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["automountServiceAccountToken"]
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert not any("valueFrom" in variable for variable in container["env"])


def test_gpus_are_for_workers_alone_and_the_head_runs_no_trial(capsys: pytest.CaptureFixture[str]) -> None:
    head, workers, _ = pods(job := manifest(capsys, *WHOLE, *GPUS))
    assert workers["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert workers["spec"]["nodeSelector"] == {"gpu": "l4"}
    assert "nvidia.com/gpu" not in head["spec"]["containers"][0]["resources"]["limits"]
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_values_reach_the_sweep_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    value = "tracking.experiment='a \"b\" `c` $d; {{ e }} # f'"
    assert value in shlex.split(manifest(capsys, *WHOLE, value)["spec"]["entrypoint"])


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ((*TARGET, "compute.kuberay.volume_claim=work"), "compute.kuberay.image"),
        ((*TARGET, "compute.kuberay.image=a"), "storage.uri"),
        ((*WHOLE, "compute.kuberay.workers=0"), "compute.kuberay.workers"),
        ((*WHOLE, "compute.kuberay.worker=1"), "compute.kuberay.worker "),
        ((*WHOLE, "compute.kuberay.namespace=A_B"), "compute.kuberay.namespace"),
        ((*WHOLE, "compute.gpus_per_trial=1"), "gpus_per_trial"),
        ((*WHOLE, "tracking.uri=http://me:pass@mlflow:5000"), "tracking.uri holds a password"),
    ],
)
def test_what_cannot_work_is_said_before_it_is_submitted(overrides: tuple[str, ...], names: str) -> None:
    with pytest.raises(UserError, match=names):
        act(["--print", *overrides])


def test_without_kubectl_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"kubectl is not here: .*--print"):
        act(list(WHOLE))


KUBECTL = """\
#!{python}
# Keeps one RayJob, which ends at once, as the operator would with a sweep that takes no time.
import json, pathlib, sys
kept = pathlib.Path(__file__).with_name("job.json")
with open(pathlib.Path(__file__).with_name("told"), "a") as told:
    print(json.dumps(sys.argv[1:]), file=told)
if "apply" in sys.argv:
    import yaml
    job = yaml.safe_load(sys.stdin)
    job["status"] = json.loads(pathlib.Path(__file__).with_name("status.json").read_text())
    kept.write_text(json.dumps(job))
elif "delete" in sys.argv:
    kept.unlink()
elif "rayjobs" in sys.argv:
    print(json.dumps({{"items": [json.loads(kept.read_text())] if kept.exists() else []}}))
elif kept.exists():
    print(kept.read_text())
"""


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, 0),
        (
            {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": "command failed with exit code 2, see"},
            2,
        ),
        ({"jobDeploymentStatus": "Failed", "reason": "DeadlineExceeded"}, 1),
        ({"jobDeploymentStatus": "ValidationFailed", "reason": "ValidationFailed", "message": "The RayJob spec is"}, 1),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, 143),
    ],
)
def test_exit_code_is_the_sweeps_and_an_ended_job_makes_room(
    status: dict[str, str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "status.json").write_text(json.dumps(status))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert act(list(WHOLE)) == code
    assert act(list(WHOLE)) == code
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    words = [word for command in told for word in command if word in ("apply", "delete")]
    assert words == ["apply", "delete", "apply"]
    assert act(["list", *TARGET]) == 0
    assert "prune-sweep-" in capsys.readouterr().out
