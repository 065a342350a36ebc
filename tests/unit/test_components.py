"""No test that needs a program can be forgotten: what the plugin `tests/integration/components.py` does with tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration import components

TESTS = """\
import pytest
from tests.integration.components import give_up, require

@pytest.fixture(scope="module")
def program(components):
    return require("no-such-program")

def test_plain():
    pass

def test_through_a_fixture(program):
    pass

@pytest.mark.usefixtures("components")
@pytest.mark.parametrize("number", range(2))
def test_itself(number):
    require("no-such-program")

@pytest.mark.usefixtures("components")
def test_there():
    assert require("sh")
"""
FORGOTTEN = """\
import pytest
from tests.integration.components import give_up, require

def test_asks():
    require("sh")

@pytest.fixture
def program():
    return require("sh")

def test_asks_through_a_fixture(program):
    pass

def test_skips():
    pytest.skip("no time")

def test_gives_up():
    give_up("no time")

@pytest.mark.skipif(True, reason="no time")
def test_is_skipped():
    pass

@pytest.mark.xfail
def test_is_expected_to_fail():
    assert False
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(components.REQUIRE_VARIABLE, raising=False)


def run(pytester: pytest.Pytester, tests: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(tests)
    return pytester.runpytest_inprocess("-p", components.__name__, "--strict-markers", *arguments)


def test_they_are_left_out_with_one_line(pytester: pytest.Pytester) -> None:
    done = run(pytester, TESTS, "-m", f"not {components.MARK}")
    done.assert_outcomes(passed=1, deselected=4)
    done.stdout.fnmatch_lines(["left out 4 tests: *make test-components*"])
    assert "skipped" not in done.stdout.str()


def test_workers_say_it_once(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(components.__file__).parents[2]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", components.__name__, "-p", "xdist.plugin", "-n", "2"]
    done = pytester.run(*command, "-m", f"not {components.MARK}")
    assert [line[:18] for line in done.outlines if line.startswith("left out")] == ["left out 4 tests: "]


def test_what_is_missing_is_skipped_with_one_line_for_each_program(pytester: pytest.Pytester) -> None:
    done = run(pytester, TESTS, "-m", components.MARK)
    done.assert_outcomes(passed=1, skipped=3, deselected=1)
    assert [line for line in done.outlines if line.startswith("skipped")] == [
        "skipped 3 tests: no-such-program is not installed"
    ]
    assert "left out" not in done.stdout.str()


def test_where_nothing_may_be_missing_they_fail(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(components.REQUIRE_VARIABLE, "1")
    run(pytester, TESTS).assert_outcomes(passed=2, failed=2, errors=1)


def test_forgotten_ones_fail(pytester: pytest.Pytester) -> None:
    done = run(pytester, FORGOTTEN)
    done.assert_outcomes(failed=3, errors=2, xfailed=1)
    assert done.stdout.str().count("only tests with the fixture 'components' may") >= 5
