"""What a remote git repository says about its refs, without a clone."""

from __future__ import annotations

import logging
import re

from job_creator.adapters.processes import ProcessError, run, without_credentials
from job_creator.errors import CouldNotAskError

TIMEOUT_SECONDS = 60.0

logger = logging.getLogger(__name__)


def resolve(repository: str, ref: str) -> str | None:
    """The commit that a branch or tag of a remote repository points to; `None` if the remote has no such ref.

    A full commit is its own answer. Where a branch and a tag share the name the branch counts, as for `git clone`.
    Raises `CouldNotAskError` when the remote does not answer.
    """
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", ref):
        return ref
    wanted = (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}")
    try:
        # Without a terminal git would wait for a password for ever.
        answer = run(
            ["git", "ls-remote", "--", repository, *wanted],
            seconds=TIMEOUT_SECONDS,
            environment={"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "LC_ALL": "C"},
        )
    except ProcessError as error:
        raise CouldNotAskError(f"cannot resolve {ref!r}: {error}") from None
    commits = {name: commit for commit, _, name in (line.partition("\t") for line in answer.splitlines())}
    commit = next((commits[name] for name in wanted if name in commits), None)
    logger.info("%s of %s is %s", ref, without_credentials(repository), commit or "not there")
    return commit
