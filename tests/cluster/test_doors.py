"""Nobody gets in without the secret. The table in docker/doors.md is what these tests print."""

from tests.helpers.cluster.doors import OPEN, REFUSED, Door, bearer, grpc_of_ray
from tests.helpers.cluster.ray_cluster import Loopback
from tests.helpers.drivers import ROOT

DOCUMENT = ROOT / "docker" / "doors.md"


def doors_of(ray: Loopback) -> list[Door]:
    """The doors that have to be shut."""
    from ray.core.generated import gcs_service_pb2, node_manager_pb2, ray_client_pb2

    token = ray.token.read_text()
    return [
        bearer("Ray jobs: list, submit, logs", f"{ray.api}/api/jobs/", token),
        bearer("Ray jobs: upload", f"{ray.api}/api/packages/gcs/absent.zip", token),
        bearer("Ray dashboard: state of the cluster", f"{ray.api}/api/v0/nodes", token),
        bearer("Ray agent on every machine", f"{ray.agent}/api/job_agent/jobs/absent/logs", token),
        grpc_of_ray(
            *("Ray GCS: machines, actors", ray.gcs, "NodeInfoGcsServiceStub", "GetAllNodeInfo"),
            *(gcs_service_pb2.GetAllNodeInfoRequest(), token),
        ),
        grpc_of_ray(
            *("Ray GCS: key-value store", ray.gcs, "InternalKVGcsServiceStub", "InternalKVKeys"),
            *(gcs_service_pb2.InternalKVKeysRequest(), token),
        ),
        grpc_of_ray(
            *("Ray raylet on every machine", ray.raylet, "NodeManagerServiceStub", "GetNodeStats"),
            *(node_manager_pb2.GetNodeStatsRequest(), token),
        ),
        grpc_of_ray(
            *("Ray client port", ray.client, "RayletDriverStub", "ClusterInfo"),
            *(ray_client_pb2.ClusterInfoRequest(type=1), token),
        ),
    ]


def open_to_all(ray: Loopback) -> list[Door]:
    """The doors that tell only that something is alive."""
    token = ray.token.read_text()
    return [
        bearer("Ray health checks", f"{ray.api}/api/gcs_healthz", token),
        bearer("Ray dashboard: the empty page", ray.api, token),
    ]


def test_every_door_of_ray_is_shut_as_the_document_shows(ray: Loopback) -> None:
    shown = DOCUMENT.read_text()
    for door in doors_of(ray):
        without, wrong, right = door.answers()
        assert without.startswith(REFUSED), door.name
        assert wrong.startswith(REFUSED), door.name
        assert right.startswith(OPEN), door.name
        assert door.row(without, wrong, right) in shown


def test_what_is_open_to_all_is_known(ray: Loopback) -> None:
    shown = DOCUMENT.read_text()
    for door in open_to_all(ray):
        assert door.answers() == (OPEN, OPEN, OPEN), door.name
        assert door.row(OPEN, OPEN, OPEN) in shown
