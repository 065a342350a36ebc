"""The section `container` of an environment, as far as images are made after it.

Its form is that of lib/spack/spack/schema/container.py, which `spack containerize` makes a recipe for an image of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from foundation.yaml_io import Location
from job_creator.environments.marks import unmarked

PACKAGE_MANAGERS: Final = ("apt", "apk", "yum", "yum_amazon", "zypper")
"""What installs packages in the runtime image; the first one, if nobody says it."""

PROVENANCE: Final = tuple(
    f"org.opencontainers.image.{name}" for name in ("title", "version", "source", "revision", "base")
)
"""Labels that every image gets, with all below them."""
_PACKAGE: Final = re.compile(r"[A-Za-z0-9][\w.+:~=-]*")
_LABEL: Final = re.compile(r"[^\s=]+")
_NOT_FOLLOWED: Final[Mapping[Location, tuple[str, str]]] = {
    ("images",): ("containers are made with the site's builder and runtime images", "remove it"),
    ("strip",): ("programs are shipped as they were built", "remove it"),
    ("template",): ("the Dockerfile is the site's", "add lines to it with a Dockerfile.epilogue"),
    ("depfile",): ("packages come from the build cache", "remove it"),
    ("docker",): ("it says nothing that an image is made after", "remove it"),
    ("singularity", "test"): ("tests are run before anything is published", "list it below 'spacktainer: test:'"),
    ("singularity", "runscript"): ("SIF files start what the image starts", "set ENTRYPOINT in a Dockerfile.epilogue"),
    ("singularity", "startscript"): ("SIF files are made from the image as it is", "remove it"),
    ("singularity", "help"): ("SIF files are made from the image as it is", "write a label"),
    ("os_packages", "build"): ("packages are built in the site's builder image", "add them to builder/Dockerfile"),
}
"""Keys that nothing is made after: why, and what to do instead. Empty ones ask for nothing."""
_FOLLOWED: Final = frozenset({"format", "labels", "os_packages", "singularity"})
"""Other keys. Whatever `format` says, an image and a SIF file are made."""


@dataclass(frozen=True, slots=True)
class ContainerSection:
    """What an environment asks of its image."""

    labels: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    """Packages of the runtime image's distribution."""
    package_manager: str = PACKAGE_MANAGERS[0]
    updates: bool = True
    """Whether lists of packages are fetched before."""


def read_container_section(written: Any) -> ContainerSection:
    """What a valid section says; without one, nothing."""
    section = _plain(written)
    packages = _plain(section.get("os_packages"))
    return ContainerSection(
        {str(name): _label_text(value) for name, value in _plain(section.get("labels")).items()},
        tuple(str(one) for one in packages.get("final") or ()),
        str(packages.get("command") or PACKAGE_MANAGERS[0]),
        packages.get("update") is not False,
    )


def not_followed(written: Any, reserved: tuple[str, ...]) -> Iterator[tuple[Location, str, str]]:
    """Each place of the section, without marks, that no image can be made after, with the reason and a hint.

    `reserved` are labels, or beginnings of labels up to a dot, that say where an image came from.
    """
    section = _plain(written)
    for location, (reason, hint) in _NOT_FOLLOWED.items():
        value: Any = section
        for step in location:
            value = _plain(value).get(str(step))
        if value:
            yield location, f"{location[-1]!r} has no effect: {reason}", hint
    for key in section:
        if key not in _FOLLOWED and (key,) not in _NOT_FOLLOWED:
            yield (key,), f"{key!r} is no key of 'container'", f"known here: {', '.join(sorted(_FOLLOWED))}"
    yield from _wrong_packages(_plain(section.get("os_packages")))
    yield from _wrong_labels(_plain(section.get("labels")), reserved)


def _wrong_packages(packages: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    command = packages.get("command")
    if command is not None and command not in PACKAGE_MANAGERS:
        yield ("os_packages", "command"), f"{command!r} is unknown", f"known here: {', '.join(PACKAGE_MANAGERS)}"
    final = packages.get("final")
    for index, name in enumerate(final if isinstance(final, list) else ()):
        if not isinstance(name, str) or not _PACKAGE.fullmatch(name):
            yield ("os_packages", "final", index), f"{name!r} names no package of a distribution", ""


def _wrong_labels(labels: Mapping[str, Any], reserved: tuple[str, ...]) -> Iterator[tuple[Location, str, str]]:
    for name, value in labels.items():
        if not _LABEL.fullmatch(name):
            yield ("labels", name), f"{name!r} cannot be the name of a label", "write it without spaces and '='"
        elif any(name == one or name.startswith(f"{one}.") for one in reserved):
            yield ("labels", name), f"the label {name!r} says where an image came from", "choose another name"
        elif not isinstance(value, str | int | float) or "\n" in str(value):
            yield ("labels", name), f"the label {name!r} must be one line of text", ""


def _label_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> dict[str, Any]:
    """A mapping without marks; empty for anything else."""
    return {unmarked(str(key)): inner for key, inner in value.items()} if isinstance(value, Mapping) else {}
