"""What texts say apart from comments: those of shells as a real one reads them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.definitions.comments import said_by_definition, said_by_dockerfile

HEADER = "Bootstrap: docker\nFrom: ubuntu:24.04\n"
_PIECES = st.sampled_from(
    [
        "echo",
        " ",
        "\n",
        "'",
        '"',
        "\\",
        "#",
        "a",
        ";",
        "$x",
        "${x#a}",
        "|",
        "&&",
        "# it's\n",
        "(",
        ")",
        "`",
        "\t",
        "# c",
    ]
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%post\n  a\n", "%post\n  a\n  # why\n\n"),
        ("%post\n  a\n", "# who\nbootstrap: docker\n# when\n%post\n  a # why it's so\n"),
        ("%post\n  a '#b' \"#c\" d#e ${f#g}\n", "%post\n# x\n  a '#b' \"#c\" d#e ${f#g}\n"),
        ("%labels\n  a b\n", "%labels\n# c\n  a b\n\n"),
        ("%appinstall x\n  a\n", "%appinstall x\n  a #b\n"),
        ("%post\n  a\n", f"{HEADER}%POST\n  a\n"),
    ],
)
def test_comments_and_the_header_say_nothing(one: str, other: str) -> None:
    assert said_by_definition(one) == said_by_definition(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%post\n  a\n", "%post\n  b\n"),
        ("%post\n  a\n", "%test\n  a\n"),
        ("%post\n  a '\n# b'\n", "%post\n  a '\n# c'\n"),
        ("%post\n  a <<E\n# b\nE\n", "%post\n  a <<E\n# c\nE\n"),
        ("%post\n  a $'\\'# b'\n", "%post\n  a $'\\'# c'\n"),
        ("%post\n#!/usr/bin/python\n# b\n", "%post\n#!/usr/bin/python\n# c\n"),
        ("%help\n# a\n", "%help\n# b\n"),
        ("%post\n  a #b\n", "%post\n  a \\#b\n"),
        ("%test\n  a\n%post\n  b\n", "%post\n  b\n%test\n  a\n"),
        ("%appinstall x\n  a\n", "%appinstall y\n  a\n"),
    ],
)
def test_everything_else_counts(one: str, other: str) -> None:
    assert said_by_definition(one) != said_by_definition(other)


@given(st.lists(_PIECES).map("".join))
def test_a_shell_does_the_same_with_what_is_said(script: str) -> None:
    if "%" in script:
        return
    ((_, _, said),) = said_by_definition(f"%post\n{script}")

    def run(text: str) -> tuple[int, str]:
        command = ["/bin/sh", "-c", text.replace("echo", "printf '<%s>'")]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={"x": "a b"}, check=False
        )
        return done.returncode, done.stdout

    before = run(script)
    # What is no script for a shell may be any other in the end.
    if before[0] == 0:
        assert run(said) == before


@pytest.mark.parametrize(
    "other",
    ["RUN a b\n# c\nLABEL d=e\n", "run a \\\n  # c\n  b\n\nLABEL d=e", "RUN   a b\r\nLABEL d=e\r\n"],
)
def test_comments_of_dockerfiles_say_nothing(other: str) -> None:
    if "\\" in other:
        assert said_by_dockerfile(other) == said_by_dockerfile(other.replace("  # c\n", ""))
    else:
        assert said_by_dockerfile(other) == said_by_dockerfile("RUN a b\nLABEL d=e\n")


def test_texts_in_dockerfiles_count() -> None:
    one, other = (f"RUN <<END\n# {word}\nEND\nUSER 1\n" for word in "ab")
    assert said_by_dockerfile(one) != said_by_dockerfile(other)
    assert said_by_dockerfile(one) == [["RUN", "<<END", "# a", "END"], ["USER", "1"]]
