"""Makes what the services need: a bucket, and the account that sweeps use. It may be run again.

    python prepare.py bucket NAME
    python prepare.py account http://mlflow:5000

Credentials are read from the files that the environment names, as the services themselves do.
"""

import configparser
import json
import os
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path


def make_bucket(name: str) -> None:
    """Make the bucket `name` in the store at MLFLOW_S3_ENDPOINT_URL unless it is there."""
    import boto3

    store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    if name not in [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]:
        store.create_bucket(Bucket=name)


def make_account(server: str) -> None:
    """Make the account of ~/.mlflow/credentials on `server`, or give it the password of that file.

    The account has all rights to its own experiments and sees no others: default_permission is NO_PERMISSIONS.
    """
    admin = _read(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
    account = _read(Path.home() / ".mlflow" / "credentials")
    signed = b64encode(f"{admin['admin_username']}:{admin['admin_password']}".encode()).decode()
    wanted = {"username": account["mlflow_tracking_username"], "password": account["mlflow_tracking_password"]}

    def ask(method: str, action: str) -> None:
        request = urllib.request.Request(
            f"{server}/api/2.0/mlflow/users/{action}",
            json.dumps(wanted).encode(),
            {"Authorization": f"Basic {signed}", "Content-Type": "application/json"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=60).close()

    try:
        ask("POST", "create")
    except urllib.error.HTTPError as error:
        if "RESOURCE_ALREADY_EXISTS" not in error.read().decode(errors="replace"):
            raise
        ask("PATCH", "update-password")


def _read(path: str | Path) -> configparser.SectionProxy:
    file = configparser.ConfigParser(interpolation=None)
    with open(path) as content:
        file.read_file(content)
    return file["mlflow"]


if __name__ == "__main__":
    _, what, where = sys.argv
    {"bucket": make_bucket, "account": make_account}[what](where)
