"""Paths with fields of specs. Verdicts are those of `format_path` in Spack 0.23.1 and 1.1.0."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.grammar.formats import format_problems

TAKEN = [
    *("{name}", "{Name}", "{name}-{version}", "{hash}", "{hash:7}", "{architecture}", "{arch.os}"),
    *("{compiler.name}", "{%compiler}", "{@version}", "{@compiler.version}", "{^mpi.name}/x", "{variants.mpi.value}"),
    *("{namespace=namespace}", "{ arch=architecture}", "{target.family}", "{prefix}", "a b", "\\{x\\}", "$", ""),
]  # fmt: skip
REFUSED = [
    *("{nam}", "{}", "{name", "name}", "{name.}", "{.name}", "{_hash}", "{architecture.cpu}", "{hash:x}", "{/hash}"),
    *("{@name}", "{%name}", "{a/b}", "${PACKAGE}", "{compiler_flags.cflags}", "{name}/{version", "{dag_hash}"),
]  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_what_spack_takes_is_no_problem(text: str) -> None:
    assert list(format_problems(text)) == []


@pytest.mark.parametrize("text", REFUSED)
def test_what_spack_refuses_is_told_at_its_column(text: str) -> None:
    [problem] = format_problems(text)
    assert 1 <= problem.column <= len(text)
    assert problem.message


@pytest.mark.parametrize("text", ["/opt/{name}", "../{name}", "{name}/../../x", ".."])
def test_what_leads_out_of_the_folder_is_told(text: str) -> None:
    assert [problem.column for problem in format_problems(text)] == [1]


@given(st.text(alphabet="{}^@%/:.\\ nameh$", max_size=12))
def test_any_text_has_an_answer(text: str) -> None:
    assert all(1 <= problem.column <= max(1, len(text)) for problem in format_problems(text))
