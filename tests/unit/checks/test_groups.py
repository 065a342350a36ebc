"""Spec groups in definitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.checks.environments import faults

GROUPS = """\
spack:
  specs:
    - zlib
    - group: base
      specs: [gcc@13, {matrix: [[a, b], ["@1"]]}]
      explicit: false
      override: {packages: {all: {require: "%gcc@12"}}}
    - group: top
      needs: [base, default]
      matrix: [[lz4], ["%gcc@13"]]
      exclude: [lz4@1]
"""


@pytest.mark.parametrize("line", ["0.23", "1.0", "1.1"])
def test_older_spack_knows_no_groups_and_the_fault_says_which_does(tmp_path: Path, line: str) -> None:
    hint = "write the specs without groups"
    assert faults(tmp_path, GROUPS, line=line) == [
        f"here:{number}:7: spec groups need Spack 1.2 or newer; this site builds with {line}; {hint}"
        for number in (4, 8)
    ]


def test_spack_that_knows_groups_takes_them(tmp_path: Path) -> None:
    assert faults(tmp_path, GROUPS, line="1.2") == []


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ("- {group: a, need: [b], specs: [x]}", "here:3:18: a spec group knows no 'need'; did you mean 'needs'?"),
        ("- {group: a, needs: b, specs: [x]}", "here:3:25: 'needs' must be a list of groups"),
        ("- {group: a, needs: [b], specs: [x]}", "here:3:26: there is no group 'b'; known here: a, default"),
        ("- {group: a, specs: [x]}\n    - {group: a, specs: [y]}", "here:4:15: there is a group 'a' already; give one"),
        (
            "- {group: a, needs: [b], specs: [x]}\n    - {group: b, needs: [a], specs: [y]}",
            "here:3:25: the groups a, b need each other in a circle; one of them must come first",
        ),
        ("- {group: a, specs: [x], matrix: [[y]]}", "here:3:30: a group with 'specs' has no 'matrix' of its own"),
        ("- {group: a, specs: [{group: b, specs: [x]}]}", "here:3:26: a group within a group; write it beside"),
        ("- {group: default, needs: [], specs: [x]}", "here:3:24: 'needs' has no effect on specs without a group"),
        ("- {group: a, override: {view: x}, specs: [x]}", "here:3:29: 'view' has no effect on a group; 'over"),
        ("- {group: a, needs: [[b]], specs: [x]}", "here:3:26: 'needs' lists names of groups; write text"),
        ("- {group: a, specs: [1]}", "here:3:26: a spec must be text"),
        ("- {group: '', specs: [x]}", "here:3:15: the name of this group is empty; give it a name"),
        ("- {group: '  ', specs: [x]}", "here:3:15: the name of this group is empty; give it a name"),
        ("- {group: a}", "here:3:7: this group has no specs, so that it builds nothing; add 'specs:'"),
        ("- {group: a, needs: [default], specs: []}", "here:3:7: this group has no specs, so that it builds nothing"),
        ("- {group: a, needs: [a], specs: [x]}", "here:3:25: the groups a need each other in a circle"),
    ],
)
def test_what_is_wrong_with_a_group_has_its_place(tmp_path: Path, entries: str, found: str) -> None:
    (message,) = faults(tmp_path, f"spack:\n  specs:\n    {entries}\n", line="1.2")
    assert message.startswith(found)


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("packages: {zlib: {requires: +pic}}", "unknown key 'requires'; did you mean 'require'?"),
        ("packages: {zlib: {version: [3.30]}}", "3.30 is the number 3.3 in YAML"),
        ("packages: {zlib: {require: '@@1'}}", "Spack 1.2 refuses '@@1'"),
        ("include_concrete: [a]", "'include_concrete' cannot be used"),
    ],
)
def test_what_a_group_overrides_is_checked_as_elsewhere(tmp_path: Path, override: str, found: str) -> None:
    text = f"spack:\n  specs:\n    - group: a\n      specs: [zlib]\n      override:\n        {override}\n"
    (message,) = faults(tmp_path, text, line="1.2")
    assert found in message


def test_groups_may_have_toolchains_and_paths_of_spack(tmp_path: Path) -> None:
    override = "{toolchains: {mine: '%c=gcc@13'}, config: {build_stage: $spack/stage}}"
    entry = f"- {{group: a, specs: [zlib %mine], override: {override}}}"
    assert faults(tmp_path, f"spack:\n  specs:\n    {entry}\n", line="1.2") == []


@pytest.mark.parametrize(("group", "fits"), [("a", True), ("[a, default]", True), ("b", False), ("[a, b]", False)])
def test_a_view_is_of_groups_that_are_there(tmp_path: Path, group: str, fits: bool) -> None:
    specs = "specs: [zlib, {group: a, specs: [lz4]}]"
    found = faults(tmp_path, f"spack:\n  {specs}\n  view: {{x: {{root: /opt/x, group: {group}}}}}\n", line="1.2")
    assert found == ([] if fits else ["here:3:35: there is no group 'b'; known here: a, default"])
