"""The programs that some tests run for real, and the one rule for such tests: they use the fixture `components`.

They name it themselves or use a fixture that does. `make test` leaves them out and says so, `make test-components` runs
them alone. A test without it fails when it asks for a program here, and when it is skipped for whatever reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

import pytest

MARK: Final = "components"
"""The name of the fixture, and of the mark that those who use it get, for `pytest -m`."""
REQUIRE_VARIABLE: Final = "SPACKTAINERS_REQUIRE_COMPONENTS"
"""Set where everything is installed, such as in CI: there tests that lack a program fail instead of being skipped."""
_UNMARKED: Final = f"only tests with the fixture '{MARK}' may need programs or be skipped"
_left_out = pytest.StashKey[int]()
_running: pytest.Item | None = None


def require(program: str) -> str:
    """The path of a program. Without it, or when it cannot work here, the test is skipped (or fails, see above)."""
    _hold_to_mark(program)
    path = shutil.which(program)
    if path is None:
        give_up(f"{program} is not installed")
    if program == "buildah" and not _may_build(path):
        give_up("buildah needs root or user namespaces")
    return path


def give_up(reason: str) -> NoReturn:
    """Skips the test, or fails it where nothing may be missing."""
    if os.environ.get(REQUIRE_VARIABLE):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", name=MARK)
def components_fixture() -> None:
    """Says that a test needs programs that not every machine has."""


@lru_cache(maxsize=1)
def _may_build(buildah: str) -> bool:
    if os.geteuid() == 0:
        return True
    done = subprocess.run([buildah, "unshare", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


# What pytest calls


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: uses the fixture of this name, so needs programs")
    config.stash[_left_out] = 0


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and MARK in item.fixturenames:
        item.add_marker(MARK)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    global _running
    before, _running = _running, item
    try:
        return (yield)
    finally:
        _running = before


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not _is_marked(item):
        report.outcome, report.longrepr = "failed", f"{_reason(report)}: {_UNMARKED}"
    return report


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        item.config.stash[_left_out] += _is_marked(item)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each worker collects everything; what the last one says stands for all."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[MARK] = session.config.stash[_left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_left_out] = getattr(node, "workeroutput", {}).get(MARK, 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for reason, count in Counter(map(_reason, terminalreporter.getreports("skipped"))).most_common():
        terminalreporter.write_line(f"skipped {count} tests: {reason}")
    if left_out := config.stash[_left_out]:
        why = "they need programs such as buildah, Ceph and gpg; 'make test-components' runs them"
        terminalreporter.write_line(f"left out {left_out} tests: {why}")


def _hold_to_mark(program: str) -> None:
    if _running is not None and not _is_marked(_running):
        pytest.fail(f"{program}: {_UNMARKED}", pytrace=False)


def _is_marked(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARK) is not None


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
