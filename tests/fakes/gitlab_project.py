"""A GitLab on this machine, as far as the doctor asks it: token, server, project, its variables and runners.

Source: GitLab docs, "Personal access tokens API", "Projects API", "Project-level CI/CD variables API", "Runners API",
"Branches API".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from tests.fakes.http import Answer, LoopbackServer, Request, json_answer

TOKEN: Final = "glpat-token-that-nobody-may-see"
VALUE: Final = "value-of-a-variable-that-nobody-may-see"
PATH: Final = "group/containers"


def variable(key: str, **changes: Any) -> dict[str, Any]:
    """A variable as the API describes it: one that all pipelines see, masked."""
    flags = {"variable_type": "env_var", "protected": False, "masked": True, "environment_scope": "*"}
    return {"key": key, "value": VALUE, **flags, **changes}


@dataclass
class GitLabProject:
    """What can be planted; a project that lacks nothing by default."""

    version: str = "19.2.0-ee"
    scopes: Sequence[str] = ("read_api",)
    expires: str | None = None
    settings: dict[str, Any] = field(
        default_factory=lambda: {"ci_pipeline_variables_minimum_override_role": "maintainer", "default_branch": "main"}
    )
    protects: bool = True
    variables: list[dict[str, Any]] = field(default_factory=list)
    runners: list[tuple[frozenset[str], bool]] = field(default_factory=list)
    """The tags of each, and whether it is online."""
    refused: str = "$^"
    """Paths that the token may not ask for, as a regular expression."""

    def __enter__(self) -> GitLabProject:
        self.server = LoopbackServer("127.0.0.1", self._answer)
        self.server.__enter__()
        self.api_url = f"{self.server.url}/api/v4"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def _answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return json_answer({"message": "401 Unauthorized"}, 401)
        path = request.path.removeprefix("/api/v4/")
        if re.search(self.refused, path):
            return json_answer({"message": "403 Forbidden"}, 403)
        if path == "version":
            return json_answer({"version": self.version, "revision": "0"})
        if path == "personal_access_tokens/self":
            return json_answer({"active": True, "scopes": list(self.scopes), "expires_at": self.expires})
        project, _, below = path.removeprefix("projects/").partition("/")
        if unquote(project) not in (PATH, "7"):
            return json_answer({"message": "404 Project Not Found"}, 404)
        return self._of_project(request, below)

    def _of_project(self, request: Request, below: str) -> Answer:
        if not below:
            return json_answer({"id": 7, "path_with_namespace": PATH, **self.settings})
        if below == "repository/branches/main":
            return json_answer({"name": "main", "protected": self.protects})
        if below == "variables":
            return _page(request, self.variables)
        if below == "runners":
            tags = {*request.query["tag_list"][0].split(",")}
            found = [{"id": 1, "online": online, "paused": False} for own, online in self.runners if tags <= own]
            return _page(request, found)
        return json_answer({"error": "404 Not Found"}, 404)


def _page(request: Request, values: Sequence[Any]) -> Answer:
    size, page = int(request.query["per_page"][0]), int(request.query["page"][0])
    more = str(page + 1) if page * size < len(values) else ""
    return json_answer(values[(page - 1) * size : page * size], headers={"X-Next-Page": more})
