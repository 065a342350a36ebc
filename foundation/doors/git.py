"""What a remote git repository says about its refs, without a clone."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foundation.doors.processes import ProcessError, run, without_credentials
from foundation.errors import CouldNotAskError, NotThereError

TIMEOUT_SECONDS = 60.0
# Without a terminal git would wait for a password for ever.
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "LC_ALL": "C"}

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
        answer = run(["git", "ls-remote", "--", repository, *wanted], seconds=TIMEOUT_SECONDS, environment=_UNATTENDED)
    except ProcessError as error:
        raise CouldNotAskError(f"cannot resolve {ref!r}: {error}") from None
    commits = {name: commit for commit, _, name in (line.partition("\t") for line in answer.splitlines())}
    commit = next((commits[name] for name in wanted if name in commits), None)
    logger.info("%s of %s is %s", ref, without_credentials(repository), commit or "not there")
    return commit


def fetch_commit(repository: str, commit: str, folder: Path, seconds: float) -> None:
    """Check a commit of a remote repository out into a new folder, without its history.

    Raises `CouldNotAskError` when the remote does not answer, or does not hand the commit out.
    """
    git = ["git", "-C", str(folder)]
    try:
        run(["git", "init", "--quiet", str(folder)], seconds=TIMEOUT_SECONDS)
        run([*git, "fetch", "--quiet", "--depth=1", "--", repository, commit], seconds=seconds, environment=_UNATTENDED)
        run([*git, "checkout", "--quiet", "--detach", "FETCH_HEAD"], seconds=seconds)
    except ProcessError as error:
        raise CouldNotAskError(f"cannot fetch {commit} of {without_credentials(repository)!r}: {error}") from None


def live_refs(remote: str, checkout: Path) -> frozenset[str]:
    """The full names of all branches and tags of a remote, which is a URL or is called so in the checkout.

    Raises `CouldNotAskError` when the remote does not answer.
    """
    command = ["git", "-C", str(checkout), "ls-remote", "--heads", "--tags", "--refs", "--", remote]
    try:
        answer = run(command, seconds=TIMEOUT_SECONDS, environment=_UNATTENDED)
    except ProcessError as error:
        raise CouldNotAskError(f"cannot list the branches of {without_credentials(remote)!r}: {error}") from None
    # Not splitlines: names of refs may hold what Unicode calls the end of a line.
    return frozenset(name for _, _, name in (line.partition("\t") for line in answer.split("\n")) if name)


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a folder of a git checkout is at."""

    commit: str
    refs: tuple[str, ...]
    """Short names of the tags and branches that name the commit."""
    is_changed: bool
    """Whether files in the folder differ from the commit."""


def checked_out(folder: Path) -> CheckedOut | None:
    """What a folder is at; `None` if it is in no git checkout."""
    git = ["git", "-C", str(folder)]
    try:
        commit = run([*git, "rev-parse", "HEAD"], seconds=TIMEOUT_SECONDS, environment=_UNATTENDED).strip()
        refs = run([*git, "for-each-ref", "--points-at=HEAD", "--format=%(refname)"], seconds=TIMEOUT_SECONDS)
        changes = run([*git, "status", "--porcelain", "--", "."], seconds=TIMEOUT_SECONDS)
    except ProcessError as error:
        logger.info("%s", error)
        return None
    short = (re.sub(r"^refs/(heads|tags|remotes/[^/]+)/", "", name) for name in refs.split("\n"))
    return CheckedOut(commit, tuple(sorted({name for name in short if name and name != "HEAD"})), bool(changes.strip()))


def has_commit(folder: Path, commit: str) -> bool:
    """Whether a checkout has a commit, all of it; without asking any remote."""
    command = ["git", "-C", str(folder), "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        run(command, seconds=TIMEOUT_SECONDS, environment={**_UNATTENDED, "GIT_NO_LAZY_FETCH": "1"})
    except ProcessError as error:
        logger.info("%s", error)
        return False
    return True


def archive(checkout: Path, commit: str, paths: Sequence[str], file: Path) -> None:
    """Write files and folders of a commit into a tar file. Raises `NotThereError` where it lacks one of them."""
    command = ["git", "-C", str(checkout), "archive", "--format=tar", f"--output={file}", commit, "--", *paths]
    try:
        run(command, seconds=TIMEOUT_SECONDS, environment=_UNATTENDED)
    except ProcessError as error:
        raise NotThereError(f"commit {commit}: {error}") from None
