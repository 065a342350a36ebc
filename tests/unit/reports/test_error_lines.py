"""The line of a log that says what went wrong."""

from __future__ import annotations

import pytest

from job_creator.reports.error_lines import LONGEST, first_error

LOGS = {
    "a compiler": (
        "gcc -Werror -c error_handler.c\nfoo.c:12:3: warning: error: is not meant\nfoo.c:20:1: error: expected ';'\n"
        "make[1]: *** [Makefile:3: foo.o] Error 1\n",
        "foo.c:20:1: error: expected ';'",
    ),
    "a linker": (
        "checking for error functions... no\n/usr/bin/ld: a.o: undefined reference to `greet'\ncollect2: error: ld",
        "/usr/bin/ld: a.o: undefined reference to `greet'",
    ),
    "configure": (
        "checking whether error: is fine\nconfigure: error: zlib not found",
        "configure: error: zlib not found",
    ),
    "cmake": (
        "-- Found ZLIB\nCMake Error at CMakeLists.txt:3 (find_package):",
        "CMake Error at CMakeLists.txt:3 (find_package):",
    ),
    "python": (
        "Traceback (most recent call last):\n  File \"setup.py\", line 1\nModuleNotFoundError: No module named 'x'",
        "ModuleNotFoundError: No module named 'x'",
    ),
    "spack": (
        "==> Installing zlib\n==> Error: FetchError: All fetchers failed",
        "==> Error: FetchError: All fetchers failed",
    ),
    "make alone": ("cc a.c\nmake: *** [all] Error 2\nmore", "make: *** [all] Error 2"),
    "colours": ("\x1b[31mfatal error:\x1b[0m no space", "fatal error: no space"),
    "rust": ("   Compiling x\nerror[E0308]: mismatched types", "error[E0308]: mismatched types"),
    "memory": (
        "g++: internal compiler error: Killed (program cc1plus)",
        "g++: internal compiler error: Killed (program cc1plus)",
    ),
    "nothing": ("all is well\n0 errors\ntests: error: 0\n", ""),
    "no text": ("", ""),
}


@pytest.mark.parametrize("name", LOGS)
def test_the_first_error_is_found(name: str) -> None:
    log, error = LOGS[name]
    assert first_error(log.splitlines()) == error


def test_long_lines_are_cut() -> None:
    assert len(first_error(["error: " + "x" * 10_000])) == LONGEST
