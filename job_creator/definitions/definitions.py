"""What stands under `container_definitions/`: containers made from Spack specs, and images that are wrapped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foundation.errors import Fault, InvalidInputError, naming
from foundation.registries.reference import ImageReference, is_container_name
from foundation.spack.releases import SpackLine
from foundation.spack.sections.table import FORMER_SECTIONS, SECTIONS
from foundation.validation import Value, validate
from foundation.yaml_io import Document, Location, Position, parse
from job_creator.definitions.epilogue import epilogue_faults
from job_creator.definitions.extra_files import ExtraFile, read_extra_files, read_files_of_sections
from job_creator.definitions.file import DefinitionFile, PackageSelection, SelectingFile, Spacktainer, TemplateFile
from job_creator.definitions.folder import Candidate, Stray, look
from job_creator.definitions.header import read_imported_image
from job_creator.definitions.layers import Layers, read_layers
from job_creator.project_files import ALL, BASE_IMAGES, DEFINITIONS_FOLDER, MAX_CONTAINER_NAME

_MARK = re.compile(r"[:+-]$")
"""Spack's marks for keys that override (`key::` in the file), prepend (`key+:`) or append (`key-:`)."""


@dataclass(frozen=True, slots=True)
class SpackDefinition:
    """A container that is built from Spack specs."""

    name: str
    architecture: str
    path: str
    environment: Mapping[str, Any]
    """The `spack:` section as it was written, merged with what it includes."""
    files: tuple[ExtraFile, ...] = ()
    epilogue: str | None = None
    """Path of the Dockerfile lines that are added at the end."""
    tests: tuple[str, ...] = ()
    """Commands for the container's shell that have to succeed before anything is published."""
    source_builds: bool = False
    """Whether the container may compile what the build cache lacks."""
    host_libraries: tuple[str, ...] = ()
    """Patterns of libraries that the host brings, so that the image may lack them."""
    audit: str = "fail"
    """Whether faults that an audit finds are only told (`report`)."""
    build_only: bool = False
    """Whether its packages only go into the build cache, and no image is made."""
    select: PackageSelection | None = None
    """What is selected besides the specs; such a definition is for `jc packages`, and in no pipeline."""
    collect: tuple[str, ...] = ()
    """What `jc build` collects of its builds; such a definition is in no pipeline, either."""
    document: Document = field(default=Document("", None), repr=False, compare=False)
    """The whole file, with the place of each value; Spack's marks stand at their keys."""
    included: tuple[Document, ...] = field(default=(), repr=False, compare=False)
    """The files that it includes, the strongest first, each as if its sections stood below `spack:`."""

    @property
    def is_list(self) -> bool:
        """Whether it is for `jc packages` and `jc build`, and in no pipeline."""
        return self.select is not None or bool(self.collect)

    @property
    def audit_options(self) -> tuple[str, ...]:
        """The words that `jc audit` is called with, besides the file."""
        of_host = (word for pattern in self.host_libraries for word in ("--from-host", pattern))
        return (*(["--report-only"] if self.audit == "report" else []), *of_host)


@dataclass(frozen=True, slots=True)
class ImportedDefinition:
    """A container that wraps an existing image."""

    name: str
    architecture: str
    path: str
    image: ImageReference
    text: str = ""
    """The whole definition file."""
    files: tuple[ExtraFile, ...] = ()
    """What its sections copy from the repository into the SIF file."""


Definition = SpackDefinition | ImportedDefinition


def makes_image(definition: Definition) -> bool:
    """Whether a container comes of it, and not only packages in the build cache."""
    return not (isinstance(definition, SpackDefinition) and definition.build_only)


@dataclass(frozen=True, slots=True)
class DefinitionSurvey:
    """What stands in the folder of definitions."""

    definitions: tuple[Definition, ...]
    """Those without faults, sorted by architecture and name."""
    faults: tuple[Fault, ...]
    """Those of all other files."""
    faulty: tuple[SpackDefinition, ...] = ()
    """Those of the other files in which sections were found, for what else may be wrong in them."""


def read_definitions(
    root: Path, architectures: Collection[str], line: SpackLine | None = None, used: Collection[str] = ()
) -> tuple[Definition, ...]:
    """All definitions below `root`/container_definitions, as `survey_definitions` finds them.

    Raises `InvalidInputError` with the faults of all files, `FileAccessError` when the folder cannot be read.
    """
    found = survey_definitions(root, architectures, line, used)
    if found.faults:
        raise InvalidInputError(found.faults)
    return found.definitions


def survey_definitions(
    root: Path, architectures: Collection[str], line: SpackLine | None = None, used: Collection[str] = ()
) -> DefinitionSurvey:
    """The definitions without faults below `root`/container_definitions, and the faults of the others.

    With `line`, sections that this Spack does not know are faults. So is whatever `definitions_folder` does not
    understand, has no name that switches it off, and is named neither by a definition nor in `used`, which are paths
    seen from `root`. Raises `FileAccessError` when the folder cannot be read.
    """
    folder = root / DEFINITIONS_FOLDER
    definitions: dict[tuple[str, str], Definition] = {}
    faults: list[Fault] = []
    faulty: list[SpackDefinition] = []
    with naming(folder):
        found = list(look(folder, architectures))
        read = [_read(one, root, line) for one in found if isinstance(one, Candidate)]
        named = {root / path for path in (*used, *(path for one in read for path in one.used))}
        for one in read:
            if root / one.path in named:
                # Another definition includes it, so it is none itself.
                continue
            faults += one.faults
            if isinstance(one.definition, SpackDefinition) and one.faults:
                faulty.append(one.definition)
            elif definition := one.definition:
                key = definition.architecture, definition.name
                if key in definitions:
                    message = f"{definition.name!r} is already defined in {definitions[key].path}"
                    faults.append(Fault(definition.path, 1, 1, message, "give one of them another name"))
                definitions.setdefault(key, definition)
        faults += [fault for one in found if isinstance(one, Stray) for fault in one.faults(folder, named)]
    return DefinitionSurvey(tuple(definitions[key] for key in sorted(definitions)), tuple(faults), tuple(faulty))


def read_template(document: Document, root: Path, line: SpackLine | None = None) -> Layers:
    """The environment template, as it was written, and what it includes, with the faults of their outer form."""
    return _layers(document, TemplateFile, root, line)


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of a file that should be a definition."""

    path: str
    definition: Definition | None
    """With faults, only its environment counts."""
    faults: list[Fault]
    used: frozenset[str] = frozenset()
    """Files and folders of the repository that it names."""


def _read(found: Candidate, root: Path, line: SpackLine | None) -> _Read:
    shown = _relative(found.path, root)
    faults = list(_name_faults(found.name, shown))
    # What a file names that cannot be read is not known, so nothing beside it is too much.
    used = frozenset({shown.rpartition("/")[0]} if found.is_folder else ())
    definition: Definition | None = None
    if not found.path.resolve().is_relative_to(root.resolve()) or not found.path.exists():
        message = f"it is a link to {found.path.resolve()}, which no other checkout has"
        return _Read(shown, None, [*faults, Fault(shown, 1, 1, message, "put the file itself here")], used)
    try:
        content = found.path.read_bytes()
        if found.path.suffix == ".def":
            image = read_imported_image(content, shown)
            text = content.decode("utf-8-sig")
            files = read_files_of_sections(text, shown, root)
            definition = ImportedDefinition(found.name, found.architecture, shown, image, text, files)
        else:
            document = parse(content, shown)
            layers = _layers(document, _model(document), root, line)
            used = layers.used
            faults += layers.faults
            definition = _environment_of(found, layers)
            if found.epilogue:
                faults += epilogue_faults(found.epilogue.read_bytes(), _relative(found.epilogue, root))
            if not faults:
                definition = _definition(found, definition, root)
                faults += _needless(definition)
    except InvalidInputError as error:
        faults.extend(error.faults)
    return _Read(shown, definition, faults, used)


def _environment_of(found: Candidate, layers: Layers) -> SpackDefinition:
    """A file's environment, valid or not, without what else goes into the container."""
    document, *included = layers.documents
    return SpackDefinition(
        found.name,
        found.architecture,
        document.path,
        layers.environment,
        document=document,
        included=tuple(included),
    )


def _definition(found: Candidate, environment: SpackDefinition, root: Path) -> SpackDefinition:
    """The definition of a file without faults. Raises `InvalidInputError` for files that it names."""
    document = environment.document
    extra = validate(_model(document), _without_override_marks(document, ("spack",))).spacktainer or Spacktainer()
    return replace(
        environment,
        files=read_extra_files(extra, document, root),
        epilogue=_relative(found.epilogue, root) if found.epilogue else None,
        tests=extra.test,
        source_builds=extra.source_builds,
        host_libraries=extra.host_libraries,
        audit=extra.audit,
        build_only=extra.build_only,
        select=extra.select,
        collect=extra.collect,
    )


def _model(document: Document) -> type[DefinitionFile | SelectingFile]:
    """What a file is held against: one that selects packages need not name any."""
    extra = document.value.get("spacktainer") if isinstance(document.value, Mapping) else None
    return SelectingFile if isinstance(extra, Mapping) and extra.get("select") is not None else DefinitionFile


def _needless(definition: SpackDefinition) -> Iterable[Fault]:
    """What would go into an image that nobody makes."""
    if definition.build_only and definition.epilogue:
        message = "these lines would go into an image, and build_only: true makes none"
        yield Fault(definition.epilogue, 1, 1, message, "remove one of them")
    for key in definition.document.value["spack"] if definition.build_only else ():
        if _MARK.sub("", str(key)) == "container":
            message = "'container' is about an image, and build_only: true makes none"
            yield definition.document.fault(("spack", key), message, "remove one of them", of_key=True)


def _layers(document: Document, model: type[Value], root: Path, line: SpackLine | None) -> Layers:
    """A file of this model with all that it includes, and what is wrong with any of them."""
    layers = read_layers(document, root)
    faults = list(layers.faults)
    for one in layers.documents:
        known, former = _without_former_sections(one)
        faults += former
        try:
            validate(model if one is document else TemplateFile, _without_override_marks(known, ("spack",)))
        except InvalidInputError as error:
            faults += error.faults
        else:
            faults += _unknown_sections(known, line)
    return replace(layers, faults=tuple(faults))


def _without_former_sections(document: Document) -> tuple[Document, list[Fault]]:
    """The document as it reads without sections that only older lines of Spack took, and a fault for each of them."""
    sections = document.value.get("spack") if isinstance(document.value, Mapping) else None
    if not isinstance(sections, Mapping):
        return document, []
    former = [(key, row) for key in sections if (row := FORMER_SECTIONS.get(_MARK.sub("", str(key))))]
    faults = [
        document.fault(
            ("spack", key), f"{row.name!r} is a section of Spack {row.until} and older", row.instead, of_key=True
        )
        for key, row in former
    ]
    kept = {key: value for key, value in sections.items() if key not in dict(former)}
    return replace(document, value=_replaced(document.value, ("spack",), kept)), faults


def _unknown_sections(document: Document, line: SpackLine | None) -> list[Fault]:
    """Faults for what the Spack line in use does not know."""
    if line is None:
        return []
    reasons = {
        key: SECTIONS[_MARK.sub("", key)].why_unknown(value, line)
        for key, value in document.value["spack"].items()
        if _MARK.sub("", key) in SECTIONS
    }
    return [
        document.fault(("spack", key), *reason.split("; "), of_key=True) for key, reason in reasons.items() if reason
    ]


def _name_faults(name: str, path: str) -> Iterable[Fault]:
    if not is_container_name(name):
        hint = "use lower case letters and digits, with single '-', '_' or '.' between them"
        yield Fault(path, 1, 1, f"{name!r} cannot name an image and a SIF file", hint)
    elif len(name) > MAX_CONTAINER_NAME:
        yield Fault(
            path, 1, 1, f"the name is {len(name)} characters long", f"at most {MAX_CONTAINER_NAME} are possible"
        )
    elif name in BASE_IMAGES:
        yield Fault(path, 1, 1, f"{name!r} is the name of a base image", "give the container another name")
    elif name == ALL:
        yield Fault(path, 1, 1, f"{name!r} means all containers where one is asked for", "give it another name")


def _without_override_marks(document: Document, section: Location) -> Document:
    """The document as it reads without Spack's marks on the keys directly below `section`, places kept.

    Raises `InvalidInputError` when a key stands there twice, with different marks.
    """
    marked = document.value
    for key in section:
        marked = marked.get(key) if isinstance(marked, dict) else None
    if not isinstance(marked, dict) or not any(_MARK.search(key) for key in marked):
        return document
    names = [_MARK.sub("", key) for key in marked]
    twice = [key for key, name in zip(marked, names, strict=True) if names.count(name) > 1 and key != name]
    if twice:
        raise InvalidInputError(document.fault((*section, key), f"{key!r} stands here twice") for key in twice)
    depth = len(section)

    def move(places: Mapping[Location, Position]) -> dict[Location, Position]:
        return {_unmarked(location, section, depth): place for location, place in places.items()}

    plain = {_MARK.sub("", key): value for key, value in marked.items()}
    return Document(
        document.path, _replaced(document.value, section, plain), move(document.values), move(document.keys)
    )


def _unmarked(location: Location, section: Location, depth: int) -> Location:
    if len(location) <= depth or location[:depth] != section:
        return location
    return (*section, _MARK.sub("", str(location[depth])), *location[depth + 1 :])


def _replaced(value: Any, section: Location, inner: Any) -> Any:
    if not section:
        return inner
    return {**value, section[0]: _replaced(value[section[0]], section[1:], inner)}


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
