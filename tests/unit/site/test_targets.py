"""Targets of an architecture: those that its machines can have."""

from __future__ import annotations

import pytest

from foundation.errors import InvalidInputError
from tests.samples import SITE, site


@pytest.mark.parametrize(("oci", "target"), [("amd64", "armv8.2a"), ("arm64", "zen3"), ("riscv64", "x86_64_v3")])
def test_a_target_of_other_machines_is_a_fault(oci: str, target: str) -> None:
    text = SITE.replace("    target: x86_64_v3\n", f"    target: {target}\n    oci: {oci}\n")
    with pytest.raises(InvalidInputError, match=f"no machine of {oci} has the target '{target}'"):
        site(text)


@pytest.mark.parametrize(("oci", "target"), [("amd64", "zen3"), ("arm64", "neoverse_v1"), ("s390x", "x86_64_v3")])
def test_what_nobody_knows_to_be_wrong_is_none(oci: str, target: str) -> None:
    """The table has no targets of every architecture."""
    assert site(SITE.replace("    target: x86_64_v3\n", f"    target: {target}\n    oci: {oci}\n"))
