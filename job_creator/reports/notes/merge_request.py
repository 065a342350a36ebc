"""Writes the note of a merge request, through python-gitlab.

Source: GitLab docs, "Notes API" (merge requests), "Users API" (current user), "Predefined CI/CD variables".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitlab import Gitlab
from gitlab.exceptions import GitlabError

from foundation.doors.http import HttpSession, NoAnswer, Patience
from foundation.errors import CouldNotAskError
from job_creator.reports.notes.note import is_ours, parts_of, with_part

if TYPE_CHECKING:
    from gitlab.v4.objects import ProjectMergeRequest, ProjectMergeRequestNote

_API: Final = "/api/v4"
_CONNECTIONS: Final = 2
_REFUSED: Final = (401, 403, 404)
_TRIES: Final = 3
"""Jobs of several architectures may write the note at the same time, and GitLab keeps the last."""


class NoteRefusedError(Exception):
    """The token may not do that; the text says what it was refused."""


@dataclass(frozen=True, slots=True)
class MergeRequestPlace:
    """The merge request that a job runs for."""

    api_url: str
    project: str
    """The id of the project that it is to be merged into, which is another one for forks."""
    number: str

    @classmethod
    def of_job(cls, environment: Mapping[str, str]) -> MergeRequestPlace | None:
        """From the variables of a job; `None` for one that runs for no merge request."""
        names = ("CI_API_V4_URL", "CI_MERGE_REQUEST_PROJECT_ID", "CI_MERGE_REQUEST_IID")
        found = [environment.get(name, "") for name in names]
        return cls(*found) if all(found) else None


def update_note(place: MergeRequestPlace, token: str, part: str, text: str, patience: Patience | None = None) -> str:
    """Make the note, or replace its part; what was done: `created`, `updated`, or `unchanged`.

    Only notes of the token's own user are looked at. Raises `NoteRefusedError`, and `CouldNotAskError` where no answer
    is to be had.
    """
    session = HttpSession(patience or Patience(), _CONNECTIONS)
    # As a bearer it is shown to no server that this one leads to.
    client = Gitlab(place.api_url.removesuffix(_API), oauth_token=token, session=session, per_page=100)
    try:
        client.auth()
        user = client.user.id if client.user else None
        project = client.projects.get(place.project, lazy=True)
        return _updated(project.mergerequests.get(place.number, lazy=True), user, part, text)
    except GitlabError as error:
        raise _told(error) from None
    except NoAnswer as error:
        raise CouldNotAskError(f"{place.api_url}: {session.reason(error)}") from None


def _told(error: GitlabError) -> Exception:
    what = f"HTTP {error.response_code}: {error.error_message}"
    return NoteRefusedError(what) if error.response_code in _REFUSED else CouldNotAskError(f"GitLab: {what}")


def _updated(request: ProjectMergeRequest, user: int | None, part: str, text: str) -> str:
    """Write until the note says it, since somebody else may have written over it."""
    done = "unchanged"
    for _ in range(_TRIES):
        found = _note(request, user)
        body = str(found.body) if found is not None else ""
        wanted = with_part(body, part, text)
        if found is not None and parts_of(body).get(part) == parts_of(wanted)[part]:
            return done
        if found is None:
            request.notes.create({"body": wanted})
            done = "created"
        else:
            request.notes.update(found.id, {"body": wanted})
            done = "updated" if done == "unchanged" else done
    return done


def _note(request: ProjectMergeRequest, user: int | None) -> ProjectMergeRequestNote | None:
    """The oldest note of this user that is the one of reports."""
    for note in request.notes.list(iterator=True, sort="asc", order_by="created_at"):
        if note.author.get("id") == user and is_ours(str(note.body)):
            return note
    return None
