"""What a GitLab server says about pipelines, and their artifacts, through python-gitlab.

Sources: GitLab docs, "Jobs API", "Job artifacts API" and "REST API" (paging); the deprecation of `/bridges` in favour
of `/trigger_jobs` in GitLab 19.2.

python-gitlab pages through lists; archives come past it, through `foundation.doors.streams`. Its own retries are off:
they do not know dates in `Retry-After` and have no upper bound; `session` does that below it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from gitlab import Gitlab
from gitlab.exceptions import GitlabError, GitlabHttpError
from gitlab.utils import EncodedId

from foundation.doors.http import NoAnswer, Patience, reason
from foundation.doors.streams import StreamedAnswer, Streams
from foundation.errors import CouldNotAskError, NotThereError
from foundation.gitlab import API_TOKEN_VARIABLE
from get_artifacts.family import Bridge, FinishedJob, PipelineId, read_bridge, read_job
from get_artifacts.session import ANONYMOUS, Credential, Session

_API: Final = "/api/v4"
_PER_PAGE: Final = 100
_MOST_PAGES_AT_ONCE: Final = 100
"""Servers that say that there are more are followed page by page."""
_LISTS_AT_ONCE: Final = 8
_SENT_AWAY: Final = (301, 302, 303, 307, 308)
"""To a page that asks people to sign in, since all other redirects are followed."""
_REFUSED: Final = (401, 403, 404, *_SENT_AWAY)
_GIVEN: Final = range(200, 300)
_LONGEST_MESSAGE: Final = 200

T = TypeVar("T")


class Pipelines(Protocol):
    """What has to be known of pipelines."""

    def bridges(self, pipeline: PipelineId) -> tuple[Bridge, ...]:
        """The trigger jobs of a pipeline, retried ones included where the server lists them."""

    def jobs(self, pipeline: PipelineId) -> tuple[FinishedJob, ...]:
        """The jobs of a pipeline that have a script."""


class Archives(Protocol):
    """Where archives of artifacts come from."""

    def archive(self, job: FinishedJob) -> Generator[bytes, None, None]:
        """The archive of a job, piece by piece."""


class BrokenOffError(CouldNotAskError):
    """An answer ended before its end; worth another try."""


@dataclass(frozen=True, slots=True)
class _Client:
    """A server asked with one credential."""

    name: str
    """Of the credential, for messages."""
    url: str
    """Of the API."""
    lists: Gitlab
    streams: Streams


class GitLabServer:
    """A GitLab server, asked with the first of some credentials that it accepts.

    `authorities` names a file of the certificates to trust, instead of the usual ones.

    All methods raise `CouldNotAskError` when no answer is to be had with any of them, and `NotThereError` when the
    answer is that there is no such thing.
    """

    def __init__(
        self,
        api_url: str,
        credentials: Sequence[Credential],
        patience: Patience,
        connections: int = 16,
        authorities: str | None = None,
    ) -> None:
        self._patience = patience
        base = api_url.rstrip("/").removesuffix(_API)
        self._all = tuple(
            _client(base, credential, Session(base, credential, patience, connections), authorities)
            for credential in credentials or (ANONYMOUS,)
        )
        self._clients = self._all
        self._trigger_jobs = "trigger_jobs"

    def close(self) -> None:
        """End all connections."""
        for client in self._all:
            client.lists.session.close()

    def bridges(self, pipeline: PipelineId) -> tuple[Bridge, ...]:
        """The trigger jobs of a pipeline, from whichever of the two lists this server has."""
        place = _place(pipeline)
        return self._ask(str(pipeline), lambda client: self._bridges(client.lists, place, pipeline))

    def jobs(self, pipeline: PipelineId) -> tuple[FinishedJob, ...]:
        """The jobs of a pipeline other than trigger jobs."""
        path = f"{_place(pipeline)}/jobs"
        return self._ask(
            str(pipeline), lambda client: tuple(read_job(one, pipeline) for one in _list(client.lists, path))
        )

    def archive(self, job: FinishedJob) -> Generator[bytes, None, None]:
        """The archive of a job's artifacts, piece by piece. Raises `BrokenOffError` where it ends too early."""
        path = f"/projects/{EncodedId(job.pipeline.project)}/jobs/{job.id}/artifacts"
        subject = f"artifacts of job {job.name!r}"
        response = self._ask(subject, lambda client: _stream(client, path))
        with closing(response):
            try:
                yield from response.pieces()
            except NoAnswer as error:
                raise BrokenOffError(f"{subject}: {reason(error, self._patience)}") from None

    def _bridges(self, client: Gitlab, place: str, pipeline: PipelineId) -> tuple[Bridge, ...]:
        try:
            found = _list(client, f"{place}/{self._trigger_jobs}")
        except GitlabError as error:
            if error.response_code != 404 or self._trigger_jobs == "bridges":
                raise
            found = _list(client, f"{place}/bridges")
            self._trigger_jobs = "bridges"
        return tuple(read_bridge(one, pipeline) for one in found)

    def _ask(self, subject: str, question: Callable[[_Client], T]) -> T:
        """The answer to a question. Credentials that were refused it while another was not are not tried again."""
        refusals: list[tuple[str, GitlabError]] = []
        clients = self._clients
        for index, client in enumerate(clients):
            try:
                with self._as_could_not_ask(subject):
                    answer = question(client)
            except GitlabError as error:
                refusals.append((client.name, error))
            else:
                self._clients = clients[index:]
                return answer
        raise _refused(subject, refusals)

    @contextmanager
    def _as_could_not_ask(self, subject: str) -> Iterator[None]:
        """Lets refusals through, which another credential may help against."""
        try:
            yield
        except GitlabError as error:
            if error.response_code in _REFUSED:
                raise
            said = f"HTTP {error.response_code}{_message(error)}" if error.response_code else "no JSON came"
            raise CouldNotAskError(f"{subject}: GitLab gave no usable answer: {said}") from None
        except NoAnswer as error:
            said = reason(error, self._patience)
            raise CouldNotAskError(f"{subject}: GitLab gave no usable answer: {said}") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CouldNotAskError(f"{subject}: what answered is no GitLab; check CI_API_V4_URL") from None


def _client(base: str, credential: Credential, session: Session, authorities: str | None) -> _Client:
    # Following pages to the server's own idea of its name would be asking somebody else.
    lists = Gitlab(base, session=session, keep_base_url=True, ssl_verify=authorities or True)
    return _Client(credential.name, f"{base}{_API}", lists, session.streams(authorities))


def _list(client: Gitlab, path: str) -> list[dict[str, Any]]:
    """All items; the pages after the first are asked for at once, where the server says how many there are."""
    first = client.http_list(path, iterator=True, per_page=_PER_PAGE, obey_rate_limit=False)
    pages, size = getattr(first, "total_pages", None), getattr(first, "per_page", None)
    if not pages or not size or pages > _MOST_PAGES_AT_ONCE:
        return list(first)

    def page(number: int) -> Any:
        return client.http_list(path, page=number, per_page=_PER_PAGE, get_all=False, obey_rate_limit=False)

    found = list(islice(first, size))
    with ThreadPoolExecutor(_LISTS_AT_ONCE) as pool:
        for some in pool.map(page, range(2, pages + 1)):
            found += some
    return found


def _stream(client: _Client, path: str) -> StreamedAnswer:
    answer = client.streams.get(client.url + path)
    if answer.status in _GIVEN:
        return answer
    with closing(answer):
        raise GitlabHttpError("", answer.status, answer.beginning())


def _place(pipeline: PipelineId) -> str:
    return f"/projects/{EncodedId(pipeline.project)}/pipelines/{pipeline.pipeline}"


def _refused(subject: str, refusals: Sequence[tuple[str, GitlabError]]) -> CouldNotAskError | NotThereError:
    """The last credential is the one that may most: where it was told "404", there is nothing.

    Except that GitLab also says so of projects that one may not see.
    """
    _, last = refusals[-1]
    said = _message(last)
    if last.response_code == 404 and "Project" not in said:
        return NotThereError(f"{subject}: GitLab has no such thing (HTTP 404{said})")
    answers = "; ".join(f"{name} {_answer(error)}" for name, error in refusals)
    return CouldNotAskError(
        f"{subject}: GitLab does not let this be asked ({answers})\n"
        "  A job token may list pipelines from about GitLab 19.2 on, in other projects only where their job token\n"
        "  allowlist has this one. Otherwise create a project access token with the role Reporter and the scope\n"
        f"  read_api, and put it into the masked CI/CD variable {API_TOKEN_VARIABLE} or a file (--private-token-file)."
    )


def _answer(error: GitlabError) -> str:
    if error.response_code in _SENT_AWAY:
        return "was sent to sign in"
    return f"got HTTP {error.response_code}{_message(error)}"


def _message(error: GitlabError) -> str:
    """What GitLab itself says. Anything but its JSON may come from an object store, whose words quote signatures."""
    try:
        answer = json.loads(error.response_body or b"")
        said = answer.get("message") or answer.get("error")
    except (ValueError, AttributeError):
        return ""
    return f": {said[:_LONGEST_MESSAGE]}" if isinstance(said, str) else ""
