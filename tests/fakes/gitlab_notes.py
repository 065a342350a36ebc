"""The notes of a merge request, on a GitLab of this machine.

Source: GitLab docs, "Notes API": who may comment may write notes and change its own; `GET /user` says who a token is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.http import Answer, LoopbackServer, Request, json_answer

TOKEN: Final = "glpat-token-that-nobody-may-see"
USER: Final = 7
PROJECT: Final = "42"
NUMBER: Final = "3"
_NOTES: Final = f"/api/v4/projects/{PROJECT}/merge_requests/{NUMBER}/notes"


@dataclass
class NotesGitLab:
    """The server; what can be planted are notes, and what the token may not do."""

    notes: list[dict[str, Any]] = field(default_factory=list)
    may_read: bool = True
    may_write: bool = True
    per_page: int = 2
    """However many are asked for."""
    after_write: Callable[[NotesGitLab], None] = lambda _: None

    def __enter__(self) -> NotesGitLab:
        self.server = LoopbackServer("127.0.0.1", self._answer)
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a job that runs for the merge request."""
        api = f"{self.server.url}/api/v4"
        return {"CI_API_V4_URL": api, "CI_MERGE_REQUEST_PROJECT_ID": PROJECT, "CI_MERGE_REQUEST_IID": NUMBER}

    @property
    def writes(self) -> list[Request]:
        """What was not only read."""
        return [one for one in self.server.requests if one.method != "GET"]

    def add(self, body: str, author: int = USER) -> dict[str, Any]:
        """A note that is there."""
        self.notes.append({"id": 100 + len(self.notes), "body": body, "author": {"id": author}})
        return self.notes[-1]

    def _answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return json_answer({"message": "401 Unauthorized"}, 401)
        if request.path == "/api/v4/user":
            return json_answer({"id": USER, "username": "bot"})
        if not self.may_read or not request.path.startswith(_NOTES):
            return json_answer({"message": "404 Project Not Found"}, 404)
        if request.method == "GET":
            return self._page(int(request.query.get("page", ["1"])[0]))
        if not self.may_write:
            return json_answer({"message": "403 Forbidden"}, 403)
        return self._written(request)

    def _written(self, request: Request) -> Answer:
        body = json.loads(request.body)["body"]
        if request.method == "POST":
            note = self.add(body)
        else:
            note = next(one for one in self.notes if str(one["id"]) == request.path.rpartition("/")[2])
            if note["author"]["id"] != USER:
                return json_answer({"message": "403 Forbidden"}, 403)
            note["body"] = body
        written = dict(note)
        self.after_write(self)
        return json_answer(written, 201 if request.method == "POST" else 200)

    def _page(self, page: int) -> Answer:
        shown = self.notes[(page - 1) * self.per_page : page * self.per_page]
        more = page * self.per_page < len(self.notes)
        headers = {"X-Page": str(page), "X-Per-Page": str(self.per_page), "X-Next-Page": str(page + 1) if more else ""}
        if more:
            headers["Link"] = f'<{self.server.url}{_NOTES}?page={page + 1}>; rel="next"'
        return json_answer(shown, headers=headers)
