"""What tests see of the outside, and that what they start is as elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.programs import program, write_program
from tests.surroundings import default_signals, surroundings

OF_DEVELOPERS = {
    "HOME": "/home/somebody",
    "PATH": "/home/somebody/bin:/usr/local/bin:/usr/bin",
    "PYTHONPATH": "/home/somebody/python",
    "LANG": "de_DE.ISO-8859-1",
    "LC_ALL": "C",
    "COLUMNS": "40",
    "NO_COLOR": "yes",
    "FORCE_COLOR": "3",
    "TERM": "dumb",
    "TZ": "Asia/Kolkata",
    "http_proxy": "http://proxy.example.org",
    "AWS_ENDPOINT_URL": "https://s3.example.org",
    "AWS_PROFILE": "mine",
    "SPACK_ROOT": "/opt/spack",
    "GIT_DIR": "/elsewhere",
    "GNUPGHOME": "/home/somebody/keys",
    "REGISTRY_AUTH_FILE": "/home/somebody/auth.json",
    "SPACKTAINERS_FORCE": "all",
    "CI_COMMIT_REF_NAME": "main",
    "MAKEFLAGS": "-j8",
}


def test_nothing_of_a_developers_shell_arrives(tmp_path: Path) -> None:
    found = surroundings(OF_DEVELOPERS, tmp_path)
    assert set(found) == {"PATH", "HOME", "TMPDIR", "LC_ALL", "GIT_CONFIG_NOSYSTEM"}
    assert not set(found.values()) & set(OF_DEVELOPERS.values())
    assert "/usr/local" not in found["PATH"]


def test_how_tests_are_run_arrives(tmp_path: Path) -> None:
    said = {
        "SPACKTAINERS_REQUIRE_COMPONENTS": "1",
        "HYPOTHESIS_PROFILE": "thorough",
        "UPDATE_GOLDEN": "1",
        "PYTEST_XDIST_WORKER": "gw0",
        "PIP_INDEX_URL": "https://pypi.example.org",
    }
    assert said.items() <= surroundings({**OF_DEVELOPERS, **said}, tmp_path).items()


def test_a_real_spack_keeps_its_cache_and_no_settings(tmp_path: Path) -> None:
    found = surroundings({**OF_DEVELOPERS, "SPACKTAINERS_SPACK_ROOT": "/opt/spack"}, tmp_path)
    assert found["SPACK_USER_CACHE_PATH"].endswith("/.spack")
    assert "SPACK_ROOT" not in found


def test_these_tests_run_in_such_surroundings(tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = surroundings(os.environ, tmp_path_factory.getbasetemp())
    assert dict(os.environ).items() >= expected.items()
    assert not {name for name in os.environ if name.startswith(("AWS_", "CI_", "GIT_AUTHOR", "XDG_"))}
    assert list(Path.home().glob(".git*")) == []
    assert tempfile.gettempdir() == os.environ["TMPDIR"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_programs_do_not_ignore_what_a_shell_let_the_tests_ignore(number: signal.Signals) -> None:
    code = f"import signal; print(signal.getsignal({int(number)}) is not signal.SIG_IGN)"
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with default_signals():
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert done.stdout == "True\n"


def test_programs_of_the_requirements_are_those_beside_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert Path(program("shellcheck")) == Path(sys.executable).parent / "shellcheck"
    with pytest.raises(AssertionError, match=r"comes with requirements-dev\.txt"):
        program("cat")


def test_a_program_of_a_test_runs_in_an_interpreter_whose_path_has_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "it's a folder" / "python"
    link.parent.mkdir()
    link.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(link))
    write_program(tmp_path / "it", "import sys\nprint(sys.argv[1:])\n")
    done = subprocess.run([tmp_path / "it", "a b", "c"], capture_output=True, text=True, check=True)
    assert done.stdout == "['a b', 'c']\n"
