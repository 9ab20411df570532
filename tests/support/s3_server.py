"""An S3 server on this machine, so that tests of object storage leave it for nothing."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BUCKET = "bucket"
_START_S = 60


@dataclass(frozen=True)
class Storage:
    """An S3 server: its address, and a client of it."""

    address: str
    client: Any

    def upload(self, file: Path, key: str) -> None:
        self.client.upload_file(str(file), BUCKET, key)


@contextlib.contextmanager
def storage_server(folder: Path) -> Iterator[Storage]:
    """A server with one empty bucket, and nothing in the environment that leads elsewhere."""
    (folder / "aws").write_text("[default]\n", "utf-8")
    environment = {
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws"),
        "AWS_CONFIG_FILE": str(folder / "aws"),
        "AWS_PROFILE": "default",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        # What DVC remembers of remotes, and remotes that somebody has for all of their projects.
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(folder / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(folder / "system"),
    }
    with pytest.MonkeyPatch.context() as patch, s3_server(folder) as address:
        for name, value in environment.items():
            patch.setenv(name, value)
        import boto3

        client = boto3.client("s3", endpoint_url=address)
        client.create_bucket(Bucket=BUCKET)
        yield Storage(address, client)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """The address of an empty S3 server, a process of its own; its log goes into `folder`."""
    log = folder / "s3_server.log"
    # Port 0: the system picks a free one, which the server's log then tells.
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text("utf-8"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server did not start: {log.read_text('utf-8')}")
