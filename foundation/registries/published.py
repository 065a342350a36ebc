"""What a registry knows of an image, and the words of OCI for the machines that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PLATFORMS: Final = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le"}
    | {"riscv64", "s390x"}
)
"""Architectures of Linux images (OCI image specification, "Image Configuration", which takes those of Go)."""

SPELLINGS: Final = {"x86_64": "amd64", "i386": "386", "aarch64": "arm64", "loongarch64": "loong64"}
"""Names of the same machines that others use: `uname`, Debian, Spack."""


@dataclass(frozen=True, slots=True)
class Published:
    """An image that a registry holds: its manifest's digest, and what its configuration says."""

    digest: str
    labels: Mapping[str, str]
    architecture: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """Its ENV."""


@dataclass(frozen=True, slots=True, order=True)
class Query:
    """A question to a registry: the image of this reference for this architecture, as OCI calls it."""

    reference: str
    architecture: str
