"""Image references as the OCI distribution project writes them: `[registry/]repository[:tag][@digest]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DOCKER_HUB = "docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_REGISTRY = re.compile(_HOST)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, order=True, slots=True)
class ImageReference:
    """Which image: a repository in a registry, with a tag, a digest or both (a digest decides then)."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        """The reference in full, with its registry."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    def with_tag(self, tag: str) -> ImageReference:
        """The same repository under another tag."""
        return replace(self, tag=tag, digest=None)


def parse_reference(text: str) -> ImageReference:
    """Read a reference, with the defaults that container tools have: Docker Hub, `library/`, tag `latest`.

    Grammar: the OCI distribution specification and distribution/reference. Raises `ValueError` saying what is wrong.
    """
    if fault := scheme_fault(text):
        raise ValueError(fault)
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest such as sha256:<64 hex digits>")
    registry, rest = _split_registry(rest)
    repository, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(f"{tag!r} is no legal image tag")
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"{repository!r} is no legal image name")
    if not _REGISTRY.fullmatch(registry):
        raise ValueError(f"{registry!r} is no registry host")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return ImageReference(registry, repository, tag or (None if digest else "latest"), digest or None)


def scheme_fault(text: str) -> str:
    """What is wrong with a reference that begins like a URL; empty if it does not. It may hold a password."""
    scheme = _SCHEME.match(text)
    return f"the name of an image begins with its registry or group; leave out {scheme[0]!r}" if scheme else ""


def is_host(text: str) -> bool:
    """Whether `text` is what stands before the first slash of a reference if that names a registry."""
    return any(character in text for character in ".:") or text == "localhost" or text != text.lower()


def is_container_name(text: str) -> bool:
    """Whether `text` can name an image repository and, with `__` as separator, a SIF file."""
    return bool(re.fullmatch(_COMPONENT, text)) and "__" not in text


def _split_registry(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and is_host(first):
        return (DOCKER_HUB if first == "index.docker.io" else first), rest
    return DOCKER_HUB, text
