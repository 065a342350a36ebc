"""A job of GitLab by the address that people see in their browser, and what it and its pipeline left.

Sources: GitLab docs, "Jobs API" (a single job, those of a pipeline, and its trigger jobs), "Job artifacts API",
"Pipelines API" (`sha`).
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from gitlab import Gitlab
from gitlab.exceptions import GitlabError

from foundation.doors.http import HttpSession, NoAnswer, Patience
from foundation.errors import CouldNotAskError, DamagedError, NotThereError
from foundation.stores.schemes import WEB_SERVER, kind_of, split_url

if TYPE_CHECKING:
    from gitlab.v4.objects import Project

_CONNECTIONS: Final = 4
_LARGEST: Final = 512 << 20
"""Bytes of an archive, and of all files in it together."""
_REFUSED: Final = (401, 403, 404)


@dataclass(frozen=True, slots=True)
class JobAddress:
    """Where a job is."""

    server: str
    project: str
    job: int

    @classmethod
    def parse(cls, url: str) -> JobAddress:
        """Read `https://gitlab.example.org/group/project/-/jobs/123`. Raises `ValueError`."""
        scheme, rest = split_url(url)
        found = re.fullmatch(r"([^/?#@]+)/([^?#]+)/-/jobs/(\d+)/?", rest)
        if kind_of(url) is not WEB_SERVER or not found:
            raise ValueError(f"{url!r} is no address of a job, which ends with group/project/-/jobs/123")
        return cls(f"{scheme}://{found[1]}", unquote(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True)
class RanJob:
    """A job, as far as it counts here."""

    id: int
    name: str
    pipeline: int
    commit: str
    has_archive: bool


class JobsOfProject:
    """The jobs of a project, asked with a token, or with none where it is public. Nothing is changed.

    All methods raise `NotThereError` for what is not there or this token may not see, and `CouldNotAskError`.
    """

    def __init__(self, address: JobAddress, token: str, patience: Patience | None = None) -> None:
        self._session = HttpSession(patience or Patience(), _CONNECTIONS)
        # As a bearer it is shown to no server that this one leads to.
        client = Gitlab(
            address.server, oauth_token=token or None, session=self._session, per_page=100, keep_base_url=True
        )
        self._project: Project = client.projects.get(address.project, lazy=True)

    def job(self, number: int) -> RanJob:
        """One job."""
        with self._asked(f"job {number}"):
            return _ran(self._project.jobs.get(number).attributes)

    def jobs(self, pipeline: int) -> tuple[RanJob, ...]:
        """The jobs of a pipeline, without those that were tried again."""
        with self._asked(f"jobs of pipeline {pipeline}"):
            found = self._project.pipelines.get(pipeline, lazy=True).jobs.list(iterator=True)
            return tuple(_ran(one.attributes) for one in found)

    def triggered(self, pipeline: int) -> Mapping[str, int]:
        """The pipelines that a pipeline triggered, by the names of its trigger jobs."""
        with self._asked(f"trigger jobs of pipeline {pipeline}"):
            found = self._project.pipelines.get(pipeline, lazy=True).bridges.list(iterator=True)
            pairs = ((str(one.name), one.attributes.get("downstream_pipeline")) for one in found)
            return {name: int(below["id"]) for name, below in pairs if below}

    def parents(self, commit: str) -> tuple[int, ...]:
        """The pipelines of a commit that no other pipeline triggered, newest first."""
        with self._asked(f"pipelines of {commit}"):
            return tuple(int(one.id) for one in self._project.pipelines.list(iterator=True, sha=commit))

    def files(self, job: RanJob) -> Mapping[str, bytes]:
        """The files that a job left, by path. Raises `DamagedError` for what is no archive, or too large a one."""
        content = bytearray()
        with self._asked(f"artifacts of job {job.name!r}"):
            found = self._project.jobs.get(job.id, lazy=True).artifacts(iterator=True)
            for piece in found if isinstance(found, Iterator) else ():
                content += piece
                if len(content) > _LARGEST:
                    raise DamagedError(f"{job.name!r}: its artifacts are larger than {_LARGEST >> 20} MiB")
        return unpacked(bytes(content), job.name)

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            yield
        except GitlabError as error:
            if error.response_code in _REFUSED:
                hint = "it has expired or never was, or the token may not see it (scope read_api)"
                raise NotThereError(f"{what}: GitLab has none (HTTP {error.response_code}); {hint}") from None
            raise CouldNotAskError(f"{what}: HTTP {error.response_code}") from None
        except NoAnswer as error:
            raise CouldNotAskError(f"{what}: {self._session.reason(error)}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CouldNotAskError(f"{what}: what answered is no GitLab") from None


def unpacked(archive: bytes, name: str) -> dict[str, bytes]:
    """The files of an archive, by their paths in it; nothing is written. Raises `DamagedError`."""
    files: dict[str, bytes] = {}
    left = _LARGEST
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for entry in opened.infolist():
                if entry.is_dir():
                    continue
                with opened.open(entry) as stream:
                    files[entry.filename] = stream.read(left + 1)
                left -= len(files[entry.filename])
                if left < 0:
                    raise DamagedError(f"{name!r}: what it left is larger than {_LARGEST >> 20} MiB")
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
        raise DamagedError(f"{name!r}: its artifacts are no archive that can be read: {error}") from None
    return files


def _ran(value: Mapping[str, Any]) -> RanJob:
    commit = value.get("commit") or {}
    return RanJob(
        int(value["id"]),
        str(value["name"]),
        int(value["pipeline"]["id"]),
        str(commit.get("id", "")),
        bool(value.get("artifacts_file")),
    )
