"""The note of a merge request, on a GitLab of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode
from foundation.gitlab import REPORT_TOKEN_VARIABLE
from job_creator.__main__ import main
from job_creator.reports.notes.note import MARK, PART_NAME, parts_of, with_part
from tests.fakes.gitlab_notes import TOKEN, USER, NotesGitLab

NAMES = st.from_regex(PART_NAME, fullmatch=True)


def told(gitlab: NotesGitLab, folder: Path, text: str, part: str = "plan amd64", **variables: str) -> Result:
    file = folder / "report.md"
    file.write_text(text)
    environment = {
        **gitlab.environment,
        REPORT_TOKEN_VARIABLE: TOKEN,
        "CI_JOB_URL": "https://g.example/j/1",
        **variables,
    }
    found = CliRunner().invoke(
        main, ["report", "note", str(file), "--part", part, "--page", "r/report.html"], env=environment
    )
    assert TOKEN not in found.output
    return found


def test_a_note_is_made_once_and_then_updated(tmp_path: Path) -> None:
    with NotesGitLab() as gitlab:
        for number in range(3):
            gitlab.add(f"a note of somebody {number}", 8)
        assert "created" in told(gitlab, tmp_path, "first").output
        assert "updated" in told(gitlab, tmp_path, "second").output
        assert "unchanged" in told(gitlab, tmp_path, "second").output
        assert [one.method for one in gitlab.writes] == ["POST", "PUT"]
        (own,) = [one["body"] for one in gitlab.notes if one["author"]["id"] == USER]
    assert parts_of(own) == {
        "plan amd64": "second\n\n[The whole report](https://g.example/j/1/artifacts/file/r/report.html)"
    }


def test_parts_of_other_jobs_stay(tmp_path: Path) -> None:
    with NotesGitLab() as gitlab:
        for part in ("plan arm64", "plan amd64", "run amd64"):
            assert told(gitlab, tmp_path, part, part).exit_code == 0
        (note,) = gitlab.notes
    assert list(parts_of(note["body"])) == ["plan amd64", "plan arm64", "run amd64"]


def test_who_writes_at_the_same_time_loses_nothing(tmp_path: Path) -> None:
    """Another job read the note before this one wrote it, and writes over it."""

    def other(gitlab: NotesGitLab) -> None:
        gitlab.after_write = lambda _: None
        gitlab.notes[0]["body"] = with_part("", "plan arm64", "theirs")

    with NotesGitLab(after_write=other) as gitlab:
        assert told(gitlab, tmp_path, "ours").exit_code == 0
        assert parts_of(gitlab.notes[0]["body"]).keys() == {"plan amd64", "plan arm64"}


def test_a_note_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with NotesGitLab() as gitlab:
        theirs = gitlab.add(f"{MARK}\nmine", 8)["body"]
        assert "created" in told(gitlab, tmp_path, "ours").output
        assert gitlab.notes[0]["body"] == theirs


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({REPORT_TOKEN_VARIABLE: ""}, f"{REPORT_TOKEN_VARIABLE} is not set"),
        ({"CI_MERGE_REQUEST_IID": ""}, "no job of a merge request"),
        ({REPORT_TOKEN_VARIABLE: "wrong"}, "may not write it"),
    ],
)
def test_without_a_token_or_a_merge_request_nothing_is_done(
    variables: dict[str, str], why: str, tmp_path: Path
) -> None:
    with NotesGitLab() as gitlab:
        found = told(gitlab, tmp_path, "x", **variables)
        assert (found.exit_code, gitlab.writes) == (0, [])
    assert why in found.output


@pytest.mark.parametrize("right", ["may_read", "may_write"])
def test_without_rights_nothing_fails(right: str, tmp_path: Path) -> None:
    with NotesGitLab(**{right: False}) as gitlab:  # type: ignore[arg-type]
        found = told(gitlab, tmp_path, "x")
        assert (found.exit_code, gitlab.notes) == (0, [])
    assert "may not write it: HTTP 40" in found.output


def test_no_server_is_told(tmp_path: Path) -> None:
    with NotesGitLab() as gitlab:
        pass
    assert told(gitlab, tmp_path, "x").exit_code == ExitCode.COULD_NOT_ASK


@given(st.dictionaries(NAMES, st.text(), max_size=4), NAMES, st.text())
def test_a_part_says_what_it_was_given_and_changes_no_other(parts: dict[str, str], name: str, text: str) -> None:
    body = ""
    for key, value in parts.items():
        body = with_part(body, key, value)
    before = parts_of(body)
    after = parts_of(with_part(body, name, text))
    assert after.pop(name) == text.replace("<!--", "&lt;!--").strip("\n")
    before.pop(name, None)
    assert after == before


@given(st.text())
def test_no_text_ends_the_part_that_it_stands_in(text: str) -> None:
    hostile = f"<!-- end: a -->\n<!-- part: b -->\n{text}\n<!-- end: b -->"
    assert parts_of(with_part("", "a", hostile)).keys() == {"a"}
