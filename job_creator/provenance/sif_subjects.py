"""What of a SIF file a statement in it is about: its layout and each of its objects. Pure.

The statement itself, and the signatures that Apptainer adds, come later and are not covered. The layout is what the
headers say of all others: program that starts the file, architecture, and kind, group, link, name and size of objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from foundation.sif.headers import ObjectKind, SifHeader, SifObject
from job_creator.provenance.intoto import Ingredient
from job_creator.provenance.statements import canonical

STATEMENT: Final = "spacktainers.provenance"
"""The name of the object with the statement."""
IMAGE: Final = "spacktainers.image"
"""The name of the object with manifest and configuration of the image that the file was made from."""
_LAYOUT: Final = "layout"


def statement_of(header: SifHeader) -> SifObject | None:
    """The object with the statement; `None` where there is none.

    It is the one object that nothing covers, so a name is not enough: by the name alone, a partition that Apptainer
    lays over the file system, or starts from, would be covered by nothing as well.
    """
    return next((one for one in header.objects if one.name == STATEMENT and one.kind == ObjectKind.JSON), None)


def covered(header: SifHeader) -> tuple[SifObject, ...]:
    """The objects that a statement is about: all others, also a second one of that name."""
    statement = statement_of(header)
    return tuple(one for one in header.objects if one.kind != ObjectKind.SIGNATURE and one != statement)


def layout_of(header: SifHeader) -> Ingredient:
    """What the headers say, as one checksum."""
    objects = [
        [one.kind, one.identifier, one.group, one.link, one.size, one.name, one.extra.hex()] for one in covered(header)
    ]
    value = {"launcher": header.launcher.hex(), "architecture": header.architecture.hex(), "objects": objects}
    return Ingredient(_LAYOUT, hashlib.sha256(canonical(value)).hexdigest())


def subject_name(one: SifObject) -> str:
    """How a statement calls an object."""
    return f"object {one.identifier}"


def subjects(header: SifHeader, checksums: Mapping[int, str]) -> tuple[Ingredient, ...]:
    """What a statement is about, given the sha256 of each object by its identifier."""
    return (
        layout_of(header),
        *(Ingredient(subject_name(one), checksums[one.identifier]) for one in covered(header)),
    )
