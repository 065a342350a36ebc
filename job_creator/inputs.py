"""What the user wrote, read once: site file, environment template, container definitions."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foundation.doors.files import read_file, strange_entries
from foundation.errors import Fault, FileAccessError, InvalidInputError
from foundation.openpgp.frame import PUBLIC, has_private_key
from foundation.spack.package_index import PackageIndex, read_package_index
from foundation.yaml_io import Document, parse
from job_creator import project_files
from job_creator.checks.checks import Checked, check
from job_creator.definitions.definitions import (
    Definition,
    SpackDefinition,
    makes_image,
    read_template,
    survey_definitions,
)
from job_creator.definitions.layers import Layers
from job_creator.repository import RepositoryPart, missing, part
from job_creator.site.site import Site, read_site


@dataclass(frozen=True)
class Written:
    """What the user wrote, read and validated."""

    site: Site
    site_document: Document
    template: Mapping[str, Any]
    definitions: tuple[Definition, ...]
    """What pipelines are made of."""
    defaults: tuple[str, ...] = ()
    """What the repository leaves to `jc` (`names.PARTS_WITH_DEFAULTS`)."""
    template_document: Document = field(default=Document("", None), repr=False, compare=False)
    not_checked: tuple[str, ...] = ()
    """What could not be checked, and why."""
    package_lists: tuple[SpackDefinition, ...] = ()
    """Definitions that select packages, and are in no pipeline."""

    @property
    def counted(self) -> str:
        """How many definitions there are of each kind, and for which architectures."""
        every = (*self.definitions, *self.package_lists)
        containers = sum(map(makes_image, every))
        words = [f"{containers} containers"] if containers else []
        words += [f"{len(every) - containers} lists of packages"] if containers < len(every) else []
        return f"{' and '.join(words)} for {', '.join(sorted({one.architecture for one in every}))}"


def read_all(root: Path, site_file: str, package_index: Path | None = None) -> Written:
    """Read site file, template and definitions, and see that every base image can be built.

    Names of packages are held against `package_index`, or else that of the repository, if it has one. Raises
    `InvalidInputError` with the faults of all of them, and `FileAccessError`.
    """
    faults = list(_image_faults(root))
    site: Site | None = None
    template: Layers | None = None
    document = template_document = Document(site_file, None)
    try:
        document = _site_document(root, site_file)
        site = _in_repository(read_site(document), document, root)
    except InvalidInputError as error:
        faults += error.faults
    line = site.spack.line if site else None
    try:
        content = read_file(part(root, project_files.TEMPLATE_FILE).path)
        template_document = parse(content, project_files.TEMPLATE_FILE)
        template = read_template(template_document, root, line)
        faults += template.faults
    except InvalidInputError as error:
        faults += error.faults
    # Without a valid site file its architectures are unknown, and every folder would seem to be one too many.
    known = site.architectures if site else _architecture_names(document, root)
    survey = survey_definitions(root, known, line, template.used if template else ())
    faults = [*faults, *survey.faults]
    checked = Checked()
    if site:
        checked = check(site, template, survey, root, _package_index(root, package_index))
        # What a place is told for its outer form says more than what follows from that further down.
        told = {(fault.path, fault.line, fault.column) for fault in faults}
        faults += [one for one in checked.faults if (one.path, one.line, one.column) not in told]
    if faults or site is None or template is None:
        raise InvalidInputError(faults)
    if not survey.definitions:
        message = f"no container is defined for {' or '.join(site.architectures)}"
        raise InvalidInputError(
            [Fault(project_files.DEFINITIONS_FOLDER, 1, 1, message, "add a <name>.yaml or <name>.def")]
        )
    lists = [one for one in survey.definitions if isinstance(one, SpackDefinition) and one.is_list]
    return Written(
        site,
        document,
        template.environment,
        tuple(one for one in survey.definitions if one not in lists),
        missing(root),
        template_document,
        not_checked=checked.not_checked,
        package_lists=tuple(lists),
    )


def read_site_file(root: Path, site_file: str) -> Site:
    """Read the site file alone. Raises `InvalidInputError`."""
    document = _site_document(root, site_file)
    return _in_repository(read_site(document), document, root)


def _in_repository(site: Site, document: Document, root: Path) -> Site:
    """The site with the public key that lies in the repository, if it has one. Raises `InvalidInputError`."""
    if not site.signing.public_key:
        return site
    path, place = root / site.signing.public_key, ("signing", "public_key")
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        raise InvalidInputError([document.fault(place, f"there is no {site.signing.public_key} in the repository")])
    content = read_file(path)
    if has_private_key(content):
        hint = "whoever sees the repository has it now: revoke it, and make another one"
        raise InvalidInputError([document.fault(place, f"{site.signing.public_key} has a private key in it", hint)])
    if PUBLIC not in content:
        hint = "gpg --armor --export writes one"
        raise InvalidInputError([document.fault(place, f"{site.signing.public_key} has no public key in armor", hint)])
    return site.model_copy(update={"signing": site.signing.model_copy(update={"public_key": str(path)})})


def _package_index(root: Path, named: Path | None) -> PackageIndex | None:
    path = named or root / project_files.PACKAGE_INDEX
    return read_package_index(read_file(path), str(path)) if named or path.is_file() else None


def _site_document(root: Path, site_file: str) -> Document:
    path = root / site_file
    if not path.exists():
        raise FileAccessError(f"{path}: no such file; start in the repository that has it, or name that with -C")
    return parse(read_file(path), site_file)


def _image_faults(root: Path) -> Iterator[Fault]:
    for name in project_files.BASE_IMAGES:
        found = part(root, name)
        if not (found.path / "Dockerfile").is_file():
            own = "add it, or remove the folder, and jc takes the one that it comes with"
            hint = f"{found.path} is gone, where this jc is installed from" if found.is_default else own
            yield Fault(name, 1, 1, "the folder of a base image has no Dockerfile", hint)
    for found in (part(root, name) for name in (*project_files.BASE_IMAGES, project_files.IMAGE_FILES_FOLDER)):
        if not found.is_default:
            yield from _links_out(root, found)


def _links_out(root: Path, found: RepositoryPart) -> Iterator[Fault]:
    """What of a part of the repository, which goes into images, could be a file from elsewhere."""
    if Path(os.path.realpath(found.path)) != root.resolve() / found.name:
        hint = "put the files themselves there"
        yield Fault(found.name, 1, 1, "is a link, or lies behind one; what it leads to may be anything", hint)
        return
    for entry, reason in strange_entries(found.path):
        hint = "only files, folders, and links among them go into images"
        yield Fault(entry.relative_to(root).as_posix(), 1, 1, reason, hint)


def _architecture_names(document: Document, root: Path) -> Collection[str]:
    value = document.value
    architectures = value.get("architectures") if isinstance(value, dict) else None
    if isinstance(architectures, dict) and architectures:
        return list(architectures)
    folder = root / project_files.DEFINITIONS_FOLDER
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []
