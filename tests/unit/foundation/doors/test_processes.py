"""Programs that run for a while: followed, served, talked with. None of them outlives its block."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from foundation.doors.processes import OutOfTimeError, ProcessError, conversation, follow, run, serving
from foundation.errors import NotReadyError
from tests.ended import has_ended

ECHO = "import sys\nfor line in sys.stdin: print('you said', line.strip(), flush=True)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_for(path: Path) -> str:
    """What a program wrote, once it is there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(path)


def test_a_program_that_takes_too_long_is_told_from_one_that_fails() -> None:
    with pytest.raises(OutOfTimeError):
        run(["sleep", "5"], seconds=0.1)
    with pytest.raises(ProcessError) as caught:
        run(python("import sys; sys.exit('no')"), seconds=20)
    assert not isinstance(caught.value, OutOfTimeError)
    assert caught.value.exit_code == 1


def test_lines_are_handed_on_with_those_of_stderr_and_in_the_folder(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import os, sys; print(os.getcwd(), flush=True); print(sorted(os.environ), file=sys.stderr); sys.exit(3)"
    assert follow(python(code), lines.append, folder=tmp_path, environment={"LC_CTYPE": "C.UTF-8"}) == 3
    assert lines == [str(tmp_path), "['LC_CTYPE']"]


def test_what_a_program_started_ends_with_it_when_its_time_is_over(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"sleep 60 & echo $! > {child}; wait"
    with pytest.raises(OutOfTimeError, match=r"was not done within 2 seconds"):
        follow(["sh", "-c", script], lambda _: None, folder=tmp_path, environment=dict(os.environ), seconds=2)
    assert has_ended(int(child.read_text()))


def test_a_program_is_ended_when_nobody_follows_it_any_more(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt) as caught:
        follow(["sh", "-c", "echo $$; exec sleep 60"], stop, folder=tmp_path, environment=dict(os.environ))
    assert has_ended(int(str(caught.value)))


def test_a_server_runs_as_long_as_its_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(["sh", "-c", "echo $$; exec sleep 60"], environment=dict(os.environ), log=log) as runs:
        pid = int(wait_for(log))
        assert runs()
    assert has_ended(pid)


def test_a_server_that_ended_is_seen_to_have(tmp_path: Path) -> None:
    with serving(["true"], environment=dict(os.environ), log=tmp_path / "log") as runs:
        end = time.monotonic() + 20
        while runs() and time.monotonic() < end:
            time.sleep(0.01)
        assert not runs()


def test_each_line_has_its_answer(tmp_path: Path) -> None:
    with conversation(python(ECHO), environment={}, log=tmp_path / "log") as ask:
        assert [ask("one"), ask("two")] == ["you said one", "you said two"]


def test_a_program_that_ends_too_early_is_quoted(tmp_path: Path) -> None:
    code = "import sys; input(); sys.exit('no such spec')"
    log = tmp_path / "log"
    with (
        pytest.raises(ProcessError, match=f"ended too early; {log} ends with: no such spec"),
        conversation(python(code), environment={}, log=log) as ask,
    ):
        ask("one")


def test_programs_that_are_not_there_are_named(tmp_path: Path) -> None:
    gone, log = ["no-such-program"], tmp_path / "log"
    with pytest.raises(NotReadyError, match="no-such-program: is not installed"):
        follow(gone, print, folder=tmp_path, environment={})
    for opened in (serving(gone, environment={}, log=log), conversation(gone, environment={}, log=log)):
        with pytest.raises(NotReadyError, match="no-such-program: is not installed"), opened:
            pass


@pytest.mark.parametrize("kind", ["folder", "no mode", "no program", "nothing"])
def test_what_cannot_be_started_is_told_by_name(kind: str, tmp_path: Path) -> None:
    """As `--spack FOLDER`; no way to start a program ends in a traceback."""
    path = tmp_path / "spack"
    if kind == "folder":
        path.mkdir()
    elif kind != "nothing":
        path.write_text("text\n")
        path.chmod(0o644 if kind == "no mode" else 0o755)
    command, log = [str(path), "--version"], tmp_path / "log"
    with pytest.raises(NotReadyError, match=str(path)):
        run(command, seconds=5)
    with pytest.raises(NotReadyError, match=str(path)):
        follow(command, print, folder=tmp_path, environment={})
    with pytest.raises(NotReadyError, match=str(path)), serving(command, environment={}, log=log):
        pass
    with pytest.raises(NotReadyError, match=str(path)), conversation(command, environment={}, log=log):
        pass


def test_a_folder_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="nowhere"):
        run(python("pass"), seconds=5, folder=tmp_path / "nowhere")
