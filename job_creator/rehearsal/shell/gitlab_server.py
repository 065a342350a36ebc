"""As much of GitLab's REST API as `ga` asks for, about the pipelines of a rehearsal: read-only, on this machine alone.

Source: GitLab docs, "Jobs API" and "Job artifacts API".
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

from job_creator.rehearsal.outcomes import RehearsedPipeline, pipelines
from job_creator.rehearsal.shell.gitlab_ci_local import artifacts_of

PROJECT_ID: Final = 1
_LISTING: Final = re.compile(rf"/api/v4/projects/{PROJECT_ID}/pipelines/(\d+)/(jobs|trigger_jobs)")
_ARCHIVE: Final = re.compile(rf"/api/v4/projects/{PROJECT_ID}/jobs/(\d+)/artifacts")
_REPORTS: Final = ".gitlab-ci-reports"


@contextmanager
def gitlab_server(records: Path, states: Path) -> Iterator[str]:
    """Serve what is on record; gives the URL of the API. `states` has the state of each pipeline under its id."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, kind, body = _answer(self.path.partition("?")[0], records, states)
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v4"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(path: str, records: Path, states: Path) -> tuple[int, str, bytes]:
    every = {one.id: one for one in pipelines(records)}
    if (listing := _LISTING.fullmatch(path)) and int(listing[1]) in every:
        pipeline = every[int(listing[1])]
        found = _bridges(pipeline, every) if listing[2] == "trigger_jobs" else _jobs(pipeline, states)
        return 200, "application/json", json.dumps(found).encode()
    if archive := _ARCHIVE.fullmatch(path):
        for pipeline in every.values():
            for job in pipeline.jobs:
                if _id(pipeline, job) == int(archive[1]):
                    return 200, "application/zip", _zipped(artifacts_of(states / str(pipeline.id), job))
    return 404, "application/json", b'{"message": "404 Not found"}'


def _bridges(pipeline: RehearsedPipeline, every: dict[int, RehearsedPipeline]) -> list[dict[str, Any]]:
    children = {one.name: one for one in every.values() if one.parent == pipeline.id}
    return [
        {
            "id": _id(pipeline, name),
            "name": name,
            "status": pipeline.jobs.get(name) or (children[name].status if name in children else "created"),
            "downstream_pipeline": {"id": children[name].id, "project_id": PROJECT_ID} if name in children else None,
        }
        for name in pipeline.bridges
    ]


def _jobs(pipeline: RehearsedPipeline, states: Path) -> list[dict[str, Any]]:
    return [
        {"id": _id(pipeline, name), "name": name, "status": status, **_archive(states / str(pipeline.id), name)}
        for name, status in pipeline.jobs.items()
        if name not in pipeline.bridges
    ]


def _archive(state: Path, job: str) -> dict[str, Any]:
    folder = artifacts_of(state, job)
    return {"artifacts_file": {"filename": "artifacts.zip", "size": len(_zipped(folder))}} if folder.is_dir() else {}


def _id(pipeline: RehearsedPipeline, job: str) -> int:
    """The same id for the same job each time."""
    return zlib.crc32(f"{pipeline.id} {job}".encode())


def _zipped(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and name.parts[0] != _REPORTS:
                archive.write(path, name.as_posix())
    return stream.getvalue()
