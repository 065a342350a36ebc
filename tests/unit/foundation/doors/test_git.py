"""Refs of remote repositories, asked from real ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from foundation.doors.git import CheckedOut, checked_out, resolve
from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError, NotReadyError

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **IDENTITY})
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote"
    folder.mkdir()
    git(folder, "init", "--quiet", "-b", "main")
    git(folder, "commit", "--allow-empty", "-m", "one")
    git(folder, "tag", "light")
    git(folder, "tag", "-a", "v1", "-m", "annotated")
    git(folder, "commit", "--allow-empty", "-m", "two")
    git(folder, "branch", "feature/x")
    return folder


def test_branches_and_tags_resolve_to_commits(remote: Path) -> None:
    url = f"file://{remote}"
    assert resolve(url, "main") == git(remote, "rev-parse", "main")
    assert resolve(url, "feature/x") == git(remote, "rev-parse", "main")
    assert resolve(url, "light") == git(remote, "rev-parse", "main~1")


def test_an_annotated_tag_resolves_to_its_commit_and_not_to_itself(remote: Path) -> None:
    assert (
        resolve(f"file://{remote}", "v1") == git(remote, "rev-parse", "v1^{commit}") != git(remote, "rev-parse", "v1")
    )


def test_a_branch_wins_over_a_tag_of_its_name(remote: Path) -> None:
    git(remote, "tag", "feature/x", "light")
    assert resolve(f"file://{remote}", "feature/x") == git(remote, "rev-parse", "main")


def test_parts_of_names_do_not_count(remote: Path) -> None:
    assert resolve(f"file://{remote}", "x") is None


def test_a_commit_is_its_own_answer() -> None:
    assert resolve("https://nowhere.invalid/x.git", "a" * 40) == "a" * 40


def test_a_remote_that_is_not_there_gave_no_answer(tmp_path: Path) -> None:
    with pytest.raises(CouldNotAskError, match="cannot resolve 'main'"):
        resolve(f"file://{tmp_path}/gone", "main")


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(CouldNotAskError) as caught:
        resolve("http://user:secret@127.0.0.1:1/x.git", "main")
    assert "secret" not in str(caught.value)


def test_a_program_that_hangs_or_is_missing_ends_in_an_error() -> None:
    with pytest.raises(ProcessError, match=r"gave no answer within 0\.1 seconds"):
        run(["sleep", "5"], seconds=0.1)
    with pytest.raises(NotReadyError, match="is not installed"):
        run(["no-such-program"], seconds=1)


def test_a_checkout_says_where_it_is(remote: Path, tmp_path: Path) -> None:
    git(remote, "checkout", "--quiet", "v1")
    found = checked_out(remote)
    assert found == CheckedOut(git(remote, "rev-parse", "v1^{}"), ("light", "v1"), is_changed=False)
    (remote / "new").write_text("x")
    changed = checked_out(remote)
    assert changed is not None
    assert changed.is_changed
    (tmp_path / "elsewhere").mkdir()
    assert checked_out(tmp_path / "elsewhere") is None
