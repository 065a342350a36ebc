"""Which branches live, asked from real repositories and read from files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from foundation.doors.git import live_refs
from foundation.errors import CouldNotAskError, FileAccessError, InvalidInputError, NotThereError
from job_creator.publishing.cleanup import read_refs, require_plausible

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **IDENTITY})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone whose remote has branches and tags of many kinds."""
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "-b", "main", str(remote))
    git(remote, "commit", "--allow-empty", "-m", "one")
    git(tmp_path, "clone", "--quiet", str(remote), str(clone))
    for name in ("Feature/X_y", "größe", "line\u2028end", "x.sif"):
        git(remote, "branch", name)
    git(remote, "tag", "-a", "v1", "-m", "annotated")
    git(remote, "update-ref", "refs/merge-requests/1/head", "main")
    return clone


def test_branches_and_tags_of_a_remote(checkout: Path) -> None:
    expected = {"main", "Feature/X_y", "größe", "line\u2028end", "x.sif"}
    assert live_refs("origin", checkout) == {f"refs/heads/{name}" for name in expected} | {"refs/tags/v1"}


def test_a_branch_that_only_the_checkout_has_does_not_live(checkout: Path) -> None:
    git(checkout, "branch", "local")
    assert "refs/heads/local" not in live_refs("origin", checkout)


@pytest.mark.parametrize("remote", ["nowhere", "--upload-pack=touch x", "http://user:secret@127.0.0.1:1/x.git"])
def test_a_remote_that_does_not_answer_is_an_error(checkout: Path, remote: str) -> None:
    with pytest.raises(CouldNotAskError, match="cannot list the branches of") as caught:
        live_refs(remote, checkout)
    assert "secret" not in str(caught.value)


def test_an_empty_answer_does_not_mean_that_all_branches_are_gone() -> None:
    with pytest.raises(NotThereError, match="no refs at all"):
        require_plausible(frozenset(), "refs/heads/main", "origin")
    with pytest.raises(NotThereError, match="has 1 refs, but not refs/heads/main"):
        require_plausible({"refs/heads/mainline"}, "refs/heads/main", "origin")
    require_plausible({"refs/heads/main"}, "refs/heads/main", "origin")


def test_refs_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "refs"
    path.write_bytes("refs/heads/main\r\nrefs/heads/a\u2028b\n\nrefs/tags/v1".encode())
    assert read_refs(path) == {"refs/heads/main", "refs/heads/a\u2028b", "refs/tags/v1"}


def test_a_file_of_other_lines_is_invalid_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "refs"
    path.write_text("refs/heads/main\nfeature\n")
    with pytest.raises(InvalidInputError, match="refs:2:1: 'feature' is no full ref"):
        read_refs(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InvalidInputError, match="is no UTF-8"):
        read_refs(path)
    with pytest.raises(FileAccessError):
        read_refs(tmp_path / "nothing")
