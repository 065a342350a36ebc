"""`jc compile-pool` as far as it needs no compiler."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from click.testing import CliRunner

from job_creator.__main__ import main


def said(*words: str) -> str:
    done = CliRunner().invoke(main, ["compile-pool", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_is_explained_where_a_command_would_be_done() -> None:
    # An interpreter is as much a program as a compiler is.
    told = said("explain", "--", sys.executable, "-O2", "-DX=a b", "-c", "a.c", "-o", "a.o")
    assert told.splitlines() == [
        "elsewhere",
        f"  text, here:        {sys.executable} -O2 '-DX=a b' -E a.c",
        f"  object, elsewhere: {sys.executable} -O2 -x cpp-output -c",
    ]
    assert said("explain", "--", "gcc", "-flto", "-c", "a.c") == "here: it is optimized at link time (-flto)\n"
    assert said("explain", "--", "no-such-compiler", "-c", "a.c") == "here: it has no compiler\n"
    value = json.loads(said("explain", "--json", "--", "gcc", "a.o"))
    assert value == {"elsewhere": False, "because": "makes no object"}


def test_scripts_are_not_taken_for_compilers(tmp_path: Path) -> None:
    script = tmp_path / "gcc"
    script.write_text("#!/bin/sh\n")
    assert "has a script for its compiler" in said("explain", "--", str(script), "-c", "a.c")
