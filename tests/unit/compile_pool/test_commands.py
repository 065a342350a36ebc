"""Which commands of compilers are done elsewhere, and how."""

from __future__ import annotations

import shlex

import pytest

from job_creator.compile_pool.commands import DEPENDENCIES, HereOnly, PooledCompile, classify, stays_here


def pooled(line: str) -> PooledCompile:
    found = classify(shlex.split(line))
    assert isinstance(found, PooledCompile), found
    return found


@pytest.mark.parametrize(
    ("line", "preprocess", "options"),
    [
        ("gcc -c a.c", "gcc -E a.c", ""),
        ("gcc -O2 -g -DX=1 -D Y -Ifoo -I bar -c a.c -o x/a.o", "gcc -O2 -g -DX=1 -D Y -Ifoo -I bar -E a.c", "-O2 -g"),
        ("gcc -std=gnu17 -fPIC -Wall -c -o a.o a.c", "gcc -std=gnu17 -fPIC -Wall -E a.c", "-std=gnu17 -fPIC -Wall"),
        # A comment that says "fall through" has to stay where its lack would be a warning.
        ("gcc -Wextra -c a.c", "gcc -Wextra -C -E a.c", "-Wextra"),
        ("gcc -isystem /i -include c.h -iquote q -c a.c", "gcc -isystem /i -include c.h -iquote q -E a.c", ""),
        ("gcc --param x=1 -Wl,-z,now -lm -L/l -c a.c", "gcc --param x=1 -Wl,-z,now -lm -L/l -E a.c", "--param x=1"),
        ("gcc -Wa,--noexecstack -c a.c", "gcc -Wa,--noexecstack -E a.c", "-Wa,--noexecstack"),
        ("gcc -Wp,-D_FORTIFY_SOURCE=2 -c a.c", "gcc -Wp,-D_FORTIFY_SOURCE=2 -E a.c", ""),
        ("gcc -ffile-prefix-map=/a=/b -c a.c", "gcc -ffile-prefix-map=/a=/b -E a.c", "-ffile-prefix-map=/a=/b"),
        ("gcc -D 'X=\"a;b c\"' -c a.c", "gcc -D 'X=\"a;b c\"' -E a.c", ""),
    ],
)
def test_a_command_becomes_a_text_here_and_an_object_elsewhere(line: str, preprocess: str, options: str) -> None:
    found = pooled(line)
    assert found.preprocess == tuple(shlex.split(preprocess))
    assert found.options == tuple(shlex.split(options))


@pytest.mark.parametrize(
    ("line", "output", "dependencies", "added"),
    [
        ("gcc -MD -c a.c", "a.o", "a.d", "-MQ a.o"),
        ("gcc -MMD -c dir/a.b.c -o out/x.lo", "out/x.lo", "out/x.d", "-MQ out/x.lo"),
        ("gcc -MD -MP -MF .deps/a.Tpo -c a.c -o a.o", "a.o", ".deps/a.Tpo", "-MQ a.o"),
        ("gcc -MD -MF.deps/a.Tpo -MT t -c a.c -o a.o", "a.o", ".deps/a.Tpo", ""),
        ("gcc -c dir/a.b.c", "a.b.o", "", None),
        ("gcc -c a.c -oa.o", "a.o", "", None),
    ],
)
def test_files_are_those_that_the_compiler_would_write(
    line: str, output: str, dependencies: str, added: str | None
) -> None:
    found = pooled(line)
    assert (found.output, found.dependencies) == (output, dependencies)
    if added is not None:
        rest = found.preprocess[found.preprocess.index("-MF") :]
        assert list(rest[:-2]) == ["-MF", DEPENDENCIES, *added.split()]
    else:
        assert "-MF" not in found.preprocess


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("gcc -c a.c", "cpp-output"),
        ("gcc -c a.cpp", "c++-cpp-output"),
        ("gcc -c a.C", "c++-cpp-output"),
        ("gcc -x c++ -c a.c", "c++-cpp-output"),
        ("gcc -xc -c a.txt", "cpp-output"),
    ],
)
def test_the_language_is_that_of_the_source(line: str, language: str) -> None:
    assert pooled(line).language == language


@pytest.mark.parametrize(
    "line",
    [
        *("gcc a.o -o a", "gcc -E a.c", "gcc -S a.c", "gcc --version", "gcc -v"),
        *("gcc -c a.c b.c", "gcc -c", "gcc -c a.s", "gcc -c a.S", "gcc -c a.f90", "gcc -c a.m", "gcc -c a.i"),
        *("gcc -c -x c-header a.h", "gcc -c a.h", "gcc -c -x c -", "gcc -c @words", "gcc -c -E a.c", "gcc -c -M a.c"),
        *("gcc -c -march=native a.c", "gcc -c -mtune=native a.c", "gcc -c -fprofile-use a.c", "gcc -c --coverage a.c"),
        *("gcc -c -save-temps a.c", "gcc -c -save-temps=obj a.c", "gcc -c -fplugin=x a.c", "gcc -c -specs=x a.c"),
        *("gcc -c -flto a.c", "gcc -c -flto=4 a.c", "gcc -c -g3 a.c", "gcc -c -ggdb3 a.c", "gcc -c -gsplit-dwarf a.c"),
        *("g++ -c -fmodules-ts a.cc", "gcc -c -P a.c", "gcc -c -fdump-tree-all a.c", "gcc -c -dA a.c"),
        *("gcc -c -Wp,-MD,x a.c", "gcc -c -Wa,-a=x a.c", "gcc -c -Wa,-adhln a.c", "gcc -c a.c -o -", "gcc -c -B. a.c"),
        *("gcc -c a.c -o /dev/null", "gcc -c -MD -MF - a.c", "gcc -c conftest.c", "cc -c /x/CMakeScratch/t/src.c"),
        *("gcc -c -Xpreprocessor -MD a.c", "clang -c -Xclang -x a.c", "gcc -c -finput-charset=latin1 a.c"),
        *("gcc -c -fstack-usage a.c", "clang -c --target=x a.c", "gcc -c -x c a.c -x none b.o"),
    ],
)
def test_what_might_come_out_differently_is_done_here(line: str) -> None:
    found = classify(shlex.split(line))
    assert isinstance(found, HereOnly)
    assert found.reason


def test_only_commands_that_make_an_object_count_as_compiles() -> None:
    kinds = {line: classify(shlex.split(line)) for line in ("gcc -o a a.o", "gcc -c conftest.c")}
    assert [isinstance(one, HereOnly) and one.is_compile for one in kinds.values()] == [False, True]


def test_probes_are_known_by_their_folder() -> None:
    assert isinstance(classify(["gcc", "-c", "src.c"], "/b/CMakeFiles/CMakeScratch/TryCompile-x"), HereOnly)
    assert isinstance(classify(["gcc", "-c", "src.c"], "/b"), PooledCompile)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        (b"int x;", False),
        (b'__asm__(".incbin \\"data\\"");', True),
        (b'#embed "data"\n', True),
        (b'asm(".include \\"m.inc\\"");', True),
    ],
)
def test_texts_that_read_more_files_stay(text: bytes, stays: bool) -> None:
    assert stays_here(text) is stays
