"""A GitLab on this machine: parent pipelines with children, jobs and artifacts, behind the real REST paths.

    with FakeGitLab() as gitlab:
        parent = gitlab.project("group/containers").pipeline()
        base = parent.child("base containers and pipeline generation")
        base.job("process spack pipeline for amd64", {"spack.artifacts.amd64/spack_pipeline.yaml": b"..."})
        ...  # ask gitlab.api_url, with gitlab.job_token or gitlab.private_token

Everything may be changed while it is asked; the next answer shows it. What it was asked is in `gitlab.requests`, and in
`gitlab.store.requests` what its object store was asked, which is another host.

Source: GitLab docs, "Jobs API", "Job artifacts API", "REST API" (paging, errors) and "CI/CD job tokens". Which version
lets a job token do what is from lib/api/ci/*.rb and from issues; the exact release that opened `bridges` is not known.
"""

from __future__ import annotations

import io
import re
import ssl
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal
from urllib.parse import unquote, urlencode

from tests.fakes.http import Answer, Cut, LoopbackServer, Request, json_answer

JOB_TOKENS_LIST_JOBS: Final = (18, 0)
JOB_TOKENS_LIST_TRIGGERS: Final = (19, 2)
SIGNATURE: Final = "signature-that-nobody-may-see"
"""What the addresses of the object store are signed with: while they are valid it is a secret."""

_MOST_COUNTED: Final = 10_000


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """An archive as GitLab's runner makes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return stream.getvalue()


@dataclass
class FakeJob:
    """A job, or with `triggers` a trigger job."""

    id: int
    name: str
    status: str = "success"
    archive: bytes | Path | None = None
    expires: str | None = None
    failure: str | None = None
    is_retried: bool = False
    triggers: bool = False
    downstream: FakePipeline | None = None


@dataclass
class FakePipeline:
    """A pipeline of a project."""

    project: FakeProject
    id: int
    status: str = "success"
    source: str = "push"
    commit: str = "c0ffee" * 6 + "c0de"
    jobs: list[FakeJob] = field(default_factory=list)

    def job(
        self,
        name: str,
        files: Mapping[str, bytes] | None = None,
        *,
        archive: bytes | Path | None = None,
        status: str = "success",
        expires: str | None = None,
    ) -> FakeJob:
        """A job that left these files, or this archive, or nothing; a second one of the name is another attempt."""
        packed = zip_of(files) if files is not None else archive
        return self._add(FakeJob(self.project.gitlab.new_id(), name, status, packed, expires))

    def bridge(self, name: str, *, status: str = "success", failure: str | None = None) -> FakeJob:
        """A trigger job that has no pipeline (yet)."""
        return self._add(FakeJob(self.project.gitlab.new_id(), name, status, failure=failure, triggers=True))

    def child(self, name: str, *, project: FakeProject | None = None, status: str = "success") -> FakePipeline:
        """A trigger job of that name and the pipeline that it triggered, in this project or another one."""
        bridge = self.bridge(name, status=status)
        bridge.downstream = (project or self.project).pipeline(status=status, source="parent_pipeline")
        return bridge.downstream

    def _add(self, job: FakeJob) -> FakeJob:
        for earlier in self.jobs:
            if earlier.name == job.name and earlier.triggers == job.triggers:
                earlier.is_retried = True
        self.jobs.append(job)
        return job


@dataclass
class FakeProject:
    """A private project."""

    gitlab: FakeGitLab
    id: int
    path: str
    has_job: bool = True
    """Whether the job that the job token belongs to is in this project."""
    allows_job_token: bool = False
    """Whether its allowlist has that job's project."""
    has_member: bool = True
    """Whether the owner of the private token may see it."""
    pipelines: list[FakePipeline] = field(default_factory=list)

    def pipeline(self, *, status: str = "success", source: str = "push") -> FakePipeline:
        """Another pipeline."""
        self.pipelines.append(FakePipeline(self, self.gitlab.new_id(), status, source))
        return self.pipelines[-1]


class FakeGitLab:
    """The server; see above. `version` decides what job tokens may and whether `trigger_jobs` exists."""

    def __init__(
        self,
        version: tuple[int, int] = (19, 2),
        *,
        redirects: bool = False,
        totals: bool = True,
        tls: ssl.SSLContext | None = None,
        store_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.version = version
        self.redirects = redirects
        """Whether artifacts are in the object store."""
        self.totals = totals
        """Whether lists say how long they are."""
        self.private_token = "private-token-that-nobody-may-see"
        self.job_token = "job-token-that-nobody-may-see"
        self.projects: list[FakeProject] = []
        self.before_answer: Callable[[Request], None] = lambda _: None
        """Called with each request; may change what is answered to it."""
        self._faults: list[tuple[str, Answer | Cut]] = []
        self._lock = Lock()
        self._last_id = 100
        self._api = LoopbackServer("127.0.0.1", self._answer, tls)
        # The same machine under another name, which makes it another host for clients.
        self.store = LoopbackServer("localhost", self._answer_of_store, store_tls)
        self.url = self._api.url
        self.api_url = f"{self.url}/api/v4"
        self.external_url = self.url
        """What it believes to be called, in links to next pages."""

    def __enter__(self) -> FakeGitLab:
        self._api.__enter__()
        self.store.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.store.__exit__()
        self._api.__exit__()

    @property
    def requests(self) -> list[Request]:
        """What was asked so far, in order."""
        return self._api.requests

    def project(self, path: str = "group/containers", *, has_job: bool = True) -> FakeProject:
        """A new project, by default the one that the job token is from."""
        self.projects.append(FakeProject(self, self.new_id(), path, has_job))
        return self.projects[-1]

    def fail(self, path: str, *faults: Answer | Cut) -> None:
        """Answer like this, once each, when paths are asked that fit a regular expression."""
        self._faults += [(path, fault) for fault in faults]

    def new_id(self) -> int:
        """An id that nothing else has."""
        with self._lock:
            self._last_id += 1
            return self._last_id

    def _answer(self, request: Request) -> Answer:
        self.before_answer(request)
        return self._with_faults(request, self._route)

    def _answer_of_store(self, request: Request) -> Answer:
        def route(asked: Request) -> Answer:
            if asked.query.get("X-Amz-Signature") != [SIGNATURE]:
                return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
            return self._archive(self._job(int(asked.path.rpartition("/")[2])))

        return self._with_faults(request, route)

    def _with_faults(self, request: Request, route: Callable[[Request], Answer]) -> Answer:
        with self._lock:
            index = next((i for i, (path, _) in enumerate(self._faults) if re.search(path, request.path)), None)
            fault = None if index is None else self._faults.pop(index)[1]
        if isinstance(fault, Answer):
            return fault
        answer = route(request)
        return replace(answer, cut_after=fault.after, hangs=fault.hangs) if fault else answer

    def _route(self, request: Request) -> Answer:
        listing = re.fullmatch(r"/api/v4/projects/([^/]+)/pipelines/(\d+)/(jobs|bridges|trigger_jobs)", request.path)
        download = re.fullmatch(r"/api/v4/projects/([^/]+)/jobs/(\d+)/artifacts", request.path)
        single = re.fullmatch(r"/api/v4/projects/([^/]+)/jobs/(\d+)", request.path)
        of_commit = re.fullmatch(r"/api/v4/projects/([^/]+)/pipelines", request.path)
        if listing and (listing[3] != "trigger_jobs" or self.version >= JOB_TOKENS_LIST_TRIGGERS):
            needed = JOB_TOKENS_LIST_JOBS if listing[3] == "jobs" else JOB_TOKENS_LIST_TRIGGERS
            project = self._project(request, listing[1], may_job=self.version >= needed)
            if isinstance(project, Answer):
                return project
            for pipeline in project.pipelines:
                if pipeline.id == int(listing[2]):
                    return self._page(request, self._listed(request, pipeline, triggers=listing[3] != "jobs"))
            return json_answer({"message": "404 Not found"}, 404)
        if download:
            project = self._project(request, download[1], may_job=True)
            if isinstance(project, Answer):
                return project
            return self._artifacts(project, int(download[2]))
        if single:
            # Job tokens may not ask for these two.
            project = self._project(request, single[1], may_job=False)
            return project if isinstance(project, Answer) else self._single(project, int(single[2]))
        if of_commit:
            project = self._project(request, of_commit[1], may_job=False)
            if isinstance(project, Answer):
                return project
            wanted = request.query.get("sha", [""])[0]
            found = [one for one in project.pipelines if one.source != "parent_pipeline" and one.commit == wanted]
            return self._page(request, [{"id": one.id, "sha": one.commit} for one in reversed(found)])
        return json_answer({"error": "404 Not Found"}, 404)

    def _single(self, project: FakeProject, job_id: int) -> Answer:
        for pipeline in project.pipelines:
            for job in pipeline.jobs:
                if job.id == job_id and not job.triggers:
                    return json_answer(_job_value(job, pipeline))
        return json_answer({"message": "404 Not found"}, 404)

    def _project(self, request: Request, wanted: str, *, may_job: bool) -> FakeProject | Answer:
        """The project, if whoever asks may know of it."""
        who = self._who(request)
        found = [one for one in self.projects if unquote(wanted) in (str(one.id), one.path)]
        if who == "stranger" or (who == "job" and found and not may_job):
            return json_answer({"message": "401 Unauthorized"}, 401)
        if who == "job" and found and not (found[0].has_job or found[0].allows_job_token):
            return json_answer({"message": "403 Forbidden - project does not allow this job token"}, 403)
        if who == "nobody" or not found or (who == "user" and not found[0].has_member):
            return json_answer({"message": "404 Project Not Found"}, 404)
        return found[0]

    def _who(self, request: Request) -> Literal["user", "job", "nobody", "stranger"]:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        private = request.headers.get("private-token", bearer)
        job = request.headers.get("job-token", "")
        if not private and not job:
            return "nobody"
        return "user" if private == self.private_token else "job" if job == self.job_token else "stranger"

    def _listed(self, request: Request, pipeline: FakePipeline, *, triggers: bool) -> list[dict[str, Any]]:
        """Newest first; earlier attempts only for those who ask for them."""
        scopes = request.query.get("scope[]", [])
        retried = request.query.get("include_retried") == ["true"]
        return [
            _job_value(job, pipeline)
            for job in reversed(pipeline.jobs)
            if job.triggers == triggers and (retried or not job.is_retried) and (not scopes or job.status in scopes)
        ]

    def _page(self, request: Request, values: Sequence[Any]) -> Answer:
        size = min(100, int(request.query.get("per_page", ["20"])[0]))
        page = int(request.query.get("page", ["1"])[0])
        more = page * size < len(values)
        headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Next-Page": str(page + 1) if more else ""}
        if self.totals and len(values) <= _MOST_COUNTED:
            headers |= {"X-Total": str(len(values)), "X-Total-Pages": str(-(-len(values) // size))}
        if more:
            query = {name: value[0] for name, value in request.query.items()} | {"page": str(page + 1)}
            headers["Link"] = f'<{self.external_url}{request.path}?{urlencode(query)}>; rel="next"'
        return json_answer(values[(page - 1) * size : page * size], headers=headers)

    def _artifacts(self, project: FakeProject, job_id: int) -> Answer:
        job = self._job(job_id, project)
        if job is None or job.archive is None:
            return json_answer({"message": "404 Not Found"}, 404)
        if self.redirects:
            place = f"{self.store.url}/artifacts/{job.id}?X-Amz-Signature={SIGNATURE}"
            return Answer(302, headers={"Location": place})
        return self._archive(job)

    def _job(self, job_id: int, project: FakeProject | None = None) -> FakeJob | None:
        projects = [project] if project else self.projects
        jobs = (job for one in projects for pipeline in one.pipelines for job in pipeline.jobs)
        return next((job for job in jobs if job.id == job_id), None)

    @staticmethod
    def _archive(job: FakeJob | None) -> Answer:
        if job is None or job.archive is None:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "application/xml"})
        return Answer(body=job.archive, headers={"Content-Type": "application/zip"})


def _job_value(job: FakeJob, pipeline: FakePipeline) -> dict[str, Any]:
    """A job as the API describes it; without artifacts the keys for their file are not there."""
    value: dict[str, Any] = {
        "id": job.id,
        "name": job.name,
        "stage": "test",
        "status": job.status,
        "created_at": "2026-01-01T00:00:00.000Z",
        "commit": {"id": pipeline.commit},
        "pipeline": {"id": pipeline.id, "project_id": pipeline.project.id, "status": pipeline.status},
    }
    if job.failure:
        value["failure_reason"] = job.failure
    if job.triggers:
        below = job.downstream
        value["downstream_pipeline"] = below and {
            "id": below.id,
            "project_id": below.project.id,
            "status": below.status,
            "source": below.source,
        }
        return value
    value |= {"artifacts": [], "artifacts_expire_at": job.expires}
    if job.archive is not None:
        size = job.archive.stat().st_size if isinstance(job.archive, Path) else len(job.archive)
        described = {"filename": "artifacts.zip", "size": size}
        value |= {
            "artifacts_file": described,
            "artifacts": [{"file_type": "archive", "file_format": "zip", **described}],
        }
    return value
