"""`jc splices` over caches of tiny packages that gcc makes; what is predicted is what really happens to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from job_creator.__main__ import main
from tests.integration.workshop import Workshop, runs_after
from tests.packed_cache import Package, fill

pytestmark = pytest.mark.usefixtures("components")

GREET = 'const char *greet(void) { return "hello"; }\n'
GREET_OLD = 'const char *greet_old(void) { return "hi"; }\n'
USE = "const char *greet(void);\nint main(void) { return greet() == 0; }\n"
USE_OLD = "const char *greet(void), *greet_old(void);\nint main(void) { return !greet() || !greet_old(); }\n"


@dataclass
class Case:
    """A binary, the library that it was built with and the one that replaces it, and what is to be said of it."""

    program: Path
    consumer: Package
    old: Package
    new: Package
    verdict: int | None
    missing: set[tuple[str, str]] = field(default_factory=set)
    """Kinds and names."""
    reason: str = ""
    runs: bool | None = None
    """Whether the program really starts; `None` where that says nothing."""


Maker = Callable[[Workshop], Case]


def simple(
    workshop: Workshop, old: str, new: str, use: str, *, old_script: str = "", new_script: str = "", options: str = ""
) -> tuple[Path, Package, Package, Package]:
    first = workshop.package("greet", "1.0")
    second = workshop.package("greet", "2.0")
    workshop.library(first, old, *options.split(), version_script=old_script)
    workshop.library(second, new, *options.split(), version_script=new_script)
    consumer = workshop.package("app", "1.0", first)
    program = workshop.program(consumer, use, *options.split(), needs=["greet"])
    return program, consumer, first, second


def adds_a_function(workshop: Workshop) -> Case:
    return Case(*simple(workshop, GREET, GREET + GREET_OLD, USE), verdict=1, runs=True)


def removes_a_function(workshop: Workshop) -> Case:
    made = simple(workshop, GREET + GREET_OLD, GREET, USE_OLD)
    return Case(*made, verdict=-1, missing={("symbol", "greet_old")}, runs=False)


def removes_a_function_that_nobody_uses(workshop: Workshop) -> Case:
    return Case(*simple(workshop, GREET + GREET_OLD, GREET, USE), verdict=1, runs=True)


def drops_a_version(workshop: Workshop) -> Case:
    """`greet@@V1` becomes `greet@@V2`, and nothing else."""
    made = simple(
        workshop, GREET, GREET, USE, old_script="V1 { global: greet; };", new_script="V2 { global: greet; local: *; };"
    )
    missing = {("version", "V1"), ("symbol", "greet@V1")}
    return Case(*made, verdict=-1, missing=missing, runs=False)


def keeps_an_old_version(workshop: Workshop) -> Case:
    both = '__asm__(".symver greet1,greet@V1");\nconst char *greet1(void) { return "old"; }\n'
    both += '__asm__(".symver greet2,greet@@V2");\nconst char *greet2(void) { return "new"; }\n'
    made = simple(
        workshop, GREET, both, USE, old_script="V1 { global: greet; };", new_script="V1 {};\nV2 { local: *; } V1;"
    )
    return Case(*made, verdict=1, runs=True)


def loses_versions(workshop: Workshop) -> Case:
    """Who asks for a version is served by a library that has none of its own, and asks the C library for one."""
    new = '#include <stdio.h>\nconst char *greet(void) { puts("hello"); return "hello"; }\n'
    return Case(*simple(workshop, GREET, new, USE, old_script="V1 { global: greet; };"), verdict=1, runs=True)


def knows_nothing_of_versions(workshop: Workshop) -> Case:
    """No version anywhere in the library: glibc ends the program with a failed assertion."""
    made = simple(workshop, GREET, GREET, USE, old_script="V1 { global: greet; };", options="-nostartfiles -nostdlib")
    program = workshop.program(made[1], USE, needs=["greet"])
    return Case(program, *made[1:], verdict=-1, missing={("symbol", "greet@V1")}, runs=False)


def gets_versions(workshop: Workshop) -> Case:
    return Case(*simple(workshop, GREET, GREET, USE, new_script="V1 { global: greet; };"), verdict=1, runs=True)


def hides_what_was_there(workshop: Workshop) -> Case:
    made = simple(workshop, GREET + GREET_OLD, GREET + GREET_OLD, USE_OLD, new_script="{ global: greet; local: *; };")
    return Case(*made, verdict=-1, missing={("symbol", "greet_old")}, runs=False)


def weak_symbols_may_be_missing(workshop: Workshop) -> Case:
    use = "const char *greet(void);\nconst char *greet_old(void) __attribute__((weak));\n"
    use += "int main(void) { return !greet() || (greet_old && !greet_old()); }\n"
    return Case(*simple(workshop, GREET + GREET_OLD, GREET, use, options="-fPIC"), verdict=1, runs=True)


def weak_definitions_count(workshop: Workshop) -> Case:
    weak = 'const char *greet_old(void) { return "weak"; }\n#pragma weak greet_old\n'
    return Case(*simple(workshop, GREET + GREET_OLD, GREET + weak, USE_OLD), verdict=1, runs=True)


def changes_its_soname(workshop: Workshop) -> Case:
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, GREET)
    workshop.library(new, GREET, soname="libgreet.so.2")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(consumer, USE, needs=["greet"])
    return Case(program, consumer, old, new, -1, {("library", "libgreet.so.1")}, runs=False)


def lies_in_another_folder(workshop: Workshop) -> Case:
    """`lib64` instead of `lib`: Spack rewires prefixes, and not the folders in them."""
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, GREET)
    workshop.library(new, GREET)
    (new.prefix / "lib").rename(new.prefix / "lib64")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(consumer, USE, needs=["greet"])
    return Case(program, consumer, old, new, -1, {("library", "libgreet.so.1")}, runs=False)


def lies_behind_links(workshop: Workshop) -> Case:
    """`lib` leads to `lib64`, and the library is a link to the file with its whole version."""
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, GREET)
    library = workshop.library(new, GREET)
    library.rename(library.with_name("libgreet.so.1.2.3"))
    library.symlink_to("libgreet.so.1.2.3")
    (new.prefix / "lib").rename(new.prefix / "lib64")
    (new.prefix / "lib").symlink_to("lib64")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(consumer, USE, needs=["greet"])
    return Case(program, consumer, old, new, 1, runs=True)


def two_libraries_of_which_one_fails(workshop: Workshop, *, first_fails: bool) -> Case:
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    for package in (old, new):
        workshop.library(
            package, "int a(void) { return 0; }\n" if package is old or not first_fails else "", soname="liba.so.1"
        )
        workshop.library(
            package, "int b(void) { return 0; }\n" if package is old or first_fails else "", soname="libb.so.1"
        )
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(
        consumer, "int a(void), b(void);\nint main(void) { return a() + b(); }\n", needs=["a", "b"]
    )
    return Case(program, consumer, old, new, -1, {("symbol", "a" if first_fails else "b")}, runs=False)


def the_first_of_two_libraries_fails(workshop: Workshop) -> Case:
    return two_libraries_of_which_one_fails(workshop, first_fails=True)


def the_last_of_two_libraries_fails(workshop: Workshop) -> Case:
    return two_libraries_of_which_one_fails(workshop, first_fails=False)


def moves_to_the_other_library(workshop: Workshop) -> Case:
    """A symbol may come from another library than before, as long as that is loaded as well."""
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    for package in (old, new):
        workshop.library(package, "int a(void) { return 0; }\n" if package is old else "", soname="liba.so.1")
        more = "int a(void) { return 0; }\n" if package is new else ""
        workshop.library(package, "int b(void) { return 0; }\n" + more, soname="libb.so.1")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(
        consumer, "int a(void), b(void);\nint main(void) { return a() + b(); }\n", needs=["a", "b"]
    )
    return Case(program, consumer, old, new, 1, runs=True)


def is_not_linked(workshop: Workshop) -> Case:
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, GREET)
    workshop.library(new, "")
    consumer = workshop.package("app", "1.0", old)
    return Case(workshop.program(consumer, "int main(void) { return 0; }\n"), consumer, old, new, None, runs=True)


def another_dependency_binds_to_it(workshop: Workshop, *tags: str) -> Case:
    """The program knows nothing of the library; what it is linked to does."""
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, GREET + GREET_OLD)
    workshop.library(new, GREET)
    middle = workshop.package("middle", "1.0", old)
    workshop.library(
        middle, "int greet_old(void);\nint mid(void) { return greet_old() == 0; }\n", *tags, needs=["greet"]
    )
    consumer = workshop.package("app", "1.0", middle, old)
    program = workshop.program(consumer, "int mid(void);\nint main(void) { return mid(); }\n", *tags, needs=["middle"])
    return Case(program, consumer, old, new, -1, {("symbol", "greet_old")}, runs=False)


def another_dependency_binds_to_it_by_runpath(workshop: Workshop) -> Case:
    return another_dependency_binds_to_it(workshop, "-Wl,--enable-new-dtags")


def needs_more_than_there_is(workshop: Workshop) -> Case:
    """The new library needs a function that only a newer version of its own dependency has; the binary has the old."""
    base_old, base_new = workshop.package("base", "1.0"), workshop.package("base", "2.0")
    workshop.library(base_old, "int base(void) { return 0; }\n")
    workshop.library(base_new, "int base(void) { return 0; }\nint more(void) { return 0; }\n")
    old, new = workshop.package("greet", "1.0", base_old), workshop.package("greet", "2.0", base_new)
    workshop.library(old, "int base(void);\nint greet(void) { return base() + 1; }\n", needs=["base"])
    workshop.library(new, "int more(void);\nint greet(void) { return more() + 1; }\n", needs=["base"])
    consumer = workshop.package("app", "1.0", old, base_old)
    program = workshop.program(consumer, USE, needs=["greet", "base"])
    return Case(program, consumer, old, new, -1, {("symbol", "more")})


def function_becomes_data(workshop: Workshop) -> Case:
    made = simple(workshop, GREET, "int greet = 1;\n", USE)
    return Case(*made, verdict=-1, missing={("kind of symbol", "greet")})


def copied_data_is_gone(workshop: Workshop) -> Case:
    use = "extern int shared[4];\nint main(void) { return shared[0]; }\n"
    options = "-fno-pic -no-pie"
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, "int shared[4] = {0, 1};\n")
    workshop.library(new, "int other[4] = {0, 1};\n")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(consumer, use, *options.split(), needs=["greet"])
    return Case(program, consumer, old, new, -1, {("symbol", "shared")}, runs=False)


def copied_data_grows(workshop: Workshop) -> Case:
    """The loader only warns, and copies as much as there was room for."""
    use = "extern int shared[4];\nint main(void) { return shared[0]; }\n"
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, "int shared[4] = {0, 1};\n")
    workshop.library(new, "int shared[8] = {0, 1};\n")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(consumer, use, "-fno-pic", "-no-pie", needs=["greet"])
    return Case(program, consumer, old, new, 0, reason="has room for 16 bytes of shared, and the new one has 32")


def is_no_library_at_all(workshop: Workshop) -> Case:
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, GREET)
    (new.prefix / "lib" / "libgreet.so.1").write_bytes(b"\x7fELF and then nothing of it")
    consumer = workshop.package("app", "1.0", old)
    program = workshop.program(consumer, USE, needs=["greet"])
    return Case(program, consumer, old, new, -1, {("symbol", "greet")}, runs=False)


MAKERS: tuple[Maker, ...] = (
    adds_a_function,
    removes_a_function,
    removes_a_function_that_nobody_uses,
    drops_a_version,
    keeps_an_old_version,
    loses_versions,
    knows_nothing_of_versions,
    gets_versions,
    hides_what_was_there,
    weak_symbols_may_be_missing,
    weak_definitions_count,
    changes_its_soname,
    lies_in_another_folder,
    lies_behind_links,
    the_first_of_two_libraries_fails,
    the_last_of_two_libraries_fails,
    moves_to_the_other_library,
    is_not_linked,
    another_dependency_binds_to_it,
    another_dependency_binds_to_it_by_runpath,
    needs_more_than_there_is,
    function_becomes_data,
    copied_data_is_gone,
    copied_data_grows,
    is_no_library_at_all,
)


def splices(*arguments: str) -> Any:
    done = CliRunner().invoke(main, ["-q", "splices", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def predict(cache: Path, folder: Path, *more: str) -> list[dict[str, Any]]:
    asked = ("--mirror", str(cache), "--of", "app", "--with", "greet", "-d", str(folder))
    return list(splices("predict", *asked, *more))


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_what_symbols_tell_is_what_happens(maker: Maker, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    case = maker(workshop)
    cache = fill(tmp_path / "cache", workshop.made)
    (found,) = predict(cache, tmp_path / "kept", "--symbols-only")
    assert (found["consumer"]["hash"], found["replaced"]["hash"]) == (case.consumer.hash, case.old.hash)
    assert found["verdict"] == case.verdict, found
    assert {(one["kind"], one["what"]) for one in found["missing"]} == case.missing
    assert case.reason in found["reason"]
    assert found["confidence"] == ("symbols" if case.verdict in (1, -1) else None)
    if case.runs is not None:
        assert runs_after(case.program, case.old, case.old)
        assert runs_after(case.program, case.old, case.new) == case.runs
