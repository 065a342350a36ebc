"""What a job kept on the default branch the last time that it ran there, fetched with the token of another job.

Source: GitLab docs, "Job artifacts API", "Download a single artifact file by reference name": the latest successful
pipeline of the branch counts, and those that it triggered. The file is streamed by GitLab itself, so that a redirect is
none of its answers, and the token is sent nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from foundation.doors.http import HttpSession, NoAnswer, Patience, whole_content
from foundation.errors import CouldNotAskError

_LARGEST: Final = 256 << 20
_NOT_THERE: Final = (401, 403, 404)


@dataclass(frozen=True, slots=True)
class BranchArtifacts:
    """The artifacts of the default branch, as a job may ask for them."""

    api_url: str
    project: str
    branch: str
    token: str

    @classmethod
    def of_job(cls, environment: Mapping[str, str]) -> BranchArtifacts | None:
        """From the variables of a job; `None` outside of jobs."""
        found = [
            environment.get(name, "")
            for name in ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_DEFAULT_BRANCH", "CI_JOB_TOKEN")
        ]
        return cls(*found) if all(found) else None

    def file(self, job: str, path: str, patience: Patience | None = None) -> bytes | None:
        """A file that a job of this name kept; `None` where there is none, or the token may not ask for it.

        Raises `CouldNotAskError` where no answer is to be had.
        """
        session = HttpSession(patience or Patience(), 1)
        place = (
            f"projects/{quote(self.project, safe='')}/jobs/artifacts/{quote(self.branch, safe='')}/raw/{quote(path)}"
        )
        url = f"{self.api_url.rstrip('/')}/{place}?{urlencode({'job': job})}"
        try:
            headers = {"JOB-TOKEN": self.token}
            with session.get(url, headers=headers, stream=True, allow_redirects=False) as answer:
                content = whole_content(answer, _LARGEST, session.patience) if answer.status_code == 200 else None
        except NoAnswer as error:
            raise CouldNotAskError(f"{place}: {session.reason(error)}") from None
        if answer.status_code in _NOT_THERE:
            return None
        if content is None:
            raise CouldNotAskError(f"{place}: HTTP {answer.status_code}, or more than can be read")
        return content
