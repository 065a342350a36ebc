"""A bucket and a cluster to publish to, and what is published there."""

from __future__ import annotations

import hashlib
import logging
import os
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from foundation.stores import s3_parts
from job_creator.__main__ import main
from job_creator.publishing.clusters import sif_folder
from job_creator.publishing.record import PublicationRecord, write_time
from tests.integration.s3_server import new_bucket
from tests.integration.s3_server import s3_environment_fixture as s3_environment_fixture
from tests.integration.s3_server import s3_url_fixture as s3_url_fixture

PREFIX = "some/where"


PART = 5 << 20
"""The least that S3 takes for a part that is not the last."""


DIGEST = "sha256:" + "d" * 64


RELEASE = PublicationRecord("neuron", "9.0", "9.0", "amd64", "refs/heads/main", True, "a" * 64)


NOW = datetime.now(UTC)


def branch(ref: str, tag: str) -> PublicationRecord:
    return replace(RELEASE, ref=f"refs/heads/{ref}", tag=tag, is_release=False)


def days_ago(days: float) -> str:
    return write_time(NOW - timedelta(days=days))


def days_ago_seconds(days: float) -> float:
    return (NOW - timedelta(days=days)).timestamp()


HEAD = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0"
"""By which a file is known as a SIF file. Tests speak of what comes after it."""


def sif(content: bytes) -> bytes:
    """A SIF file, as far as this project looks into it."""
    return HEAD + content


def sha256(content: bytes) -> str:
    """Of the SIF file with that content."""
    return hashlib.sha256(sif(content)).hexdigest()


def content_of(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class World:
    """A bucket, a folder of a cluster, and the command line."""

    url: str
    client: Any
    bucket: str
    path: Path

    @property
    def root(self) -> str:
        return f"s3://{self.bucket}/{PREFIX}"

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    def jc(self, *arguments: str | Path, url: str = "") -> Result:
        command, *others = map(str, arguments)
        logging.getLogger("job_creator").handlers.clear()
        environment = {"S3_ENDPOINT_URL": url or self.url}
        result = CliRunner().invoke(
            main, ["-C", str(self.path), command, *others], env=environment, catch_exceptions=False
        )
        assert "planted-secret" not in result.output
        return result

    def publish(self, content: bytes, record: PublicationRecord = RELEASE, *more: str, url: str = "") -> Result:
        return self.jc("publish-sif", *self._made(content, record), *more, url=url)

    def stage(self, content: bytes) -> Result:
        return self.jc("stage-sif", *self._made(content, RELEASE), "--dotenv", self.path / "sif.env")

    def _made(self, content: bytes, record: PublicationRecord) -> tuple[str | Path, ...]:
        file, recorded = self.path / "file.sif", self.path / "record.json"
        file.write_bytes(sif(content))
        recorded.write_text(record.to_json())
        return file, "--record", recorded, "--to", self.root

    def install(self, record: PublicationRecord = RELEASE, *more: str, url: str = "") -> Result:
        return self.jc("install-sif", f"{self.root}/{record.file_name}", "--to", self.cluster, *more, url=url)

    def clean(self, *more: str | Path, live: tuple[str, ...] = (), url: str = "") -> Result:
        refs = self.path / "refs"
        refs.write_text("".join(f"refs/heads/{name}\n" for name in ("main", *live)))
        places = (self.root, self.cluster) if self.cluster.exists() else (self.root,)
        return self.jc("clean-branches", *places, "--default-branch", "main", "--refs-file", refs, *more, url=url)

    def put(self, name: str, record: PublicationRecord, content: bytes = b"old") -> None:
        """What an earlier run published."""
        record = replace(record, size=len(sif(content)), sha256=sha256(content))
        key = f"{PREFIX}/{name}"
        self.client.put_object(Bucket=self.bucket, Key=key, Body=sif(content), Metadata=record.to_metadata())

    def put_on_cluster(self, record: PublicationRecord, content: bytes, *links: str) -> None:
        """What an earlier run installed."""
        record = replace(record, size=len(sif(content)), sha256=sha256(content))
        path = sif_folder.path_of(self.cluster, record)
        sif_folder.install(path, record, sif_folder.Modes(), lambda descriptor: _write(descriptor, sif(content)))
        for name in (record.file_name, *links):
            sif_folder.point(path.parent / name, path.name)

    def keys(self) -> set[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{PREFIX}/").get("Contents", [])
        return {entry["Key"].removeprefix(f"{PREFIX}/") for entry in found}

    def has(self, name: str) -> bool:
        return name in {*self.keys()}

    def stored(self, record: PublicationRecord = RELEASE) -> tuple[bytes, PublicationRecord | None]:
        answer = self.client.get_object(Bucket=self.bucket, Key=f"{PREFIX}/{record.file_name}")
        return answer["Body"].read().removeprefix(HEAD), PublicationRecord.from_metadata(answer["Metadata"])

    def marked(self, cluster: str, name: str) -> str:
        """The tag of what a marker says that a cluster has."""
        answer = self.client.head_object(Bucket=self.bucket, Key=f"{PREFIX}/installed/{cluster}/{name}")
        record = PublicationRecord.from_metadata(answer["Metadata"])
        return record.tag if record else ""

    def unfinished(self) -> list[Any]:
        found: list[Any] = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return found

    def link(self, name: str = "neuron__9.0.sif", container: str = "neuron") -> bytes:
        return content_at(self.cluster / container / name)


def content_at(path: Path) -> bytes:
    """The content of a SIF file on a cluster, without what all of them begin with."""
    return path.read_bytes().removeprefix(HEAD)


@pytest.fixture(name="world")
def world_fixture(s3_environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A bucket of its own on the server of all tests."""
    monkeypatch.setattr(s3_parts, "PART_SIZE", PART)
    client = boto3.client("s3", endpoint_url=s3_environment)
    return World(s3_environment, client, new_bucket(client), tmp_path)


def _write(descriptor: int, content: bytes) -> None:
    os.write(descriptor, content)


def succeeded(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result
