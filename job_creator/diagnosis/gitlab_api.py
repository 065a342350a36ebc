"""Questions to GitLab's API about a project, one token, nothing changed.

Source: GitLab docs, "REST API" (paging by `X-Next-Page`), "Personal access tokens API" (`self`), "Projects API",
"Project-level CI/CD variables API", "Runners API", "Protected branches API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from foundation.doors.http import Authorization, HttpSession, NoAnswer, Patience, Request, whole_content
from foundation.errors import CouldNotAskError
from foundation.stores.documents import json_of

_LARGEST: Final = 8 << 20
_MOST_PAGES: Final = 50
_CONNECTIONS: Final = 8
_MAY_NOT: Final = (401, 403)


class MayNotAskError(CouldNotAskError):
    """This token may not ask that."""


class _AccessToken(Authorization):
    """Personal, group and project access tokens may all stand there; no other server is shown it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Request) -> Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class GitLabQuestions:
    """A server and a project, asked with an access token."""

    def __init__(self, api_url: str, project: str, token: str, patience: Patience | None = None) -> None:
        self._base = api_url.rstrip("/")
        self._project = quote(project, safe="")
        self._token = _AccessToken(token)
        self._session = HttpSession(patience or Patience(), _CONNECTIONS)

    def version(self) -> str:
        """The server's version: `18.5.0-ee`."""
        return str(_mapping(self._get("version")[0]).get("version", ""))

    def token(self) -> Mapping[str, Any]:
        """What the token itself is: `scopes`, `expires_at`."""
        return _mapping(self._get("personal_access_tokens/self")[0])

    def project(self) -> Mapping[str, Any]:
        """The project and its settings; those of CI/CD only for who may see them."""
        return _mapping(self._get(f"projects/{self._project}")[0])

    def is_protected(self, branch: str) -> bool:
        """Whether a branch is protected, by its name or by a pattern that fits it."""
        found = _mapping(self._get(f"projects/{self._project}/repository/branches/{quote(branch, safe='')}")[0])
        return found.get("protected") is True

    def variables(self) -> tuple[Mapping[str, Any], ...]:
        """The CI/CD variables of the project itself. Their values are dropped here."""
        found = self._list(f"projects/{self._project}/variables")
        return tuple({name: value for name, value in one.items() if name != "value"} for one in found)

    def runners(self, tags: tuple[str, ...]) -> tuple[Mapping[str, Any], ...]:
        """The runners that the project may use and that have all of these tags."""
        return self._list(f"projects/{self._project}/runners", tag_list=",".join(tags))

    def _list(self, path: str, **query: str) -> tuple[Mapping[str, Any], ...]:
        found: list[Mapping[str, Any]] = []
        page = "1"
        for _ in range(_MOST_PAGES):
            value, page = self._get(f"{path}?{urlencode({**query, 'per_page': '100', 'page': page})}")
            if not isinstance(value, list):
                raise CouldNotAskError(f"{path}: the answer is no list")
            found += [_mapping(one) for one in value]
            if not page:
                return tuple(found)
        raise CouldNotAskError(f"{path}: the list does not end")

    def _get(self, path: str) -> tuple[Any, str]:
        """What a GET answers as JSON, and which page is next. Raises `MayNotAskError` and `CouldNotAskError`."""
        place = path.partition("?")[0]
        try:
            with self._session.get(f"{self._base}/{path}", auth=self._token, stream=True) as answer:
                content = whole_content(answer, _LARGEST, self._session.patience)
        except NoAnswer as error:
            raise CouldNotAskError(f"{place}: {self._session.reason(error)}") from None
        if answer.status_code in _MAY_NOT:
            raise MayNotAskError(f"{place}: HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise CouldNotAskError(f"{place}: HTTP {answer.status_code}")
        try:
            return json_of(content or b""), answer.headers.get("X-Next-Page", "")
        except ValueError:
            raise CouldNotAskError(f"{place}: the answer is no JSON; is the address that of the API?") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise CouldNotAskError("the answer is not what GitLab's API says")
    return value
