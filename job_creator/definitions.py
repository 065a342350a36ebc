"""What stands under `container_definitions/`: containers made from Spack specs, and images that are wrapped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from job_creator.definition_header import read_imported_image
from job_creator.errors import Fault, FileAccessError, InvalidInputError
from job_creator.image_reference import ImageReference, is_container_name
from job_creator.names import BASE_IMAGES, DEFINITIONS_FOLDER, EPILOGUE_FILE, EXTRA_FILES_FOLDER, MAX_CONTAINER_NAME
from job_creator.spack_line import SpackLine
from job_creator.validation import Items, Value, did_you_mean, validate
from job_creator.yaml_io import Document, Location, Position, parse

_YAML = (".yaml", ".yml")
_MARK = re.compile(r"[:+-]$")
"""Spack's marks for keys that override (`key::` in the file), prepend (`key+:`) or append (`key-:`)."""

_UNSAFE = re.compile(r'[$"*?\[\]\\\x00-\x1f]')
"""What Dockerfiles take for variables, patterns or the end of a string."""

_TYPES = {"mapping": (dict, "object"), "list": (list, "array"), "text": (str, "string"), "boolean": (bool, "boolean")}


class OneOf:
    """Marks a value that is handed on as it is, but for its outermost type."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Checks the type; the error reads like those of other keys."""
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The same for editors."""
        return {"type": [_TYPES[kind][1] for kind in self.kinds]}

    def _check(self, value: Any) -> Any:
        if not isinstance(value, tuple(_TYPES[kind][0] for kind in self.kinds)):
            raise ValueError(f"{{name}} must be a {' or a '.join(self.kinds)}")
        return value


def _spec(value: Any) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, dict) and ("matrix" in value or "group" in value):
        return value
    raise ValueError("a spec must be text such as 'hdf5@1.14 +mpi', or a mapping with 'matrix'")


def _file_pair(text: str) -> str:
    source, colon, target = text.partition(":")
    if not colon or not source or not target:
        raise ValueError(f"{text!r} must be 'source:target'; the source lies below {EXTRA_FILES_FOLDER}/")
    if ":" in target:
        raise ValueError(f"{text!r} has two colons; write one 'source:target' per line")
    if source != source.strip() or target != target.strip():
        raise ValueError(f"{text!r} has a space beside the colon; write 'source:target' without")
    if PurePosixPath(source).is_absolute() or ".." in PurePosixPath(source).parts:
        raise ValueError(
            f"the source {source!r} must lie below {EXTRA_FILES_FOLDER}/; write it relative to that folder"
        )
    if found := _UNSAFE.search(text):
        raise ValueError(f"{text!r} holds {found[0]!r}, which means something else in a Dockerfile; rename the file")
    if not PurePosixPath(target).is_absolute() or ".." in PurePosixPath(target).parts:
        raise ValueError(f"the target {target!r} must be an absolute path; it is a place in the container")
    return text


def _command(text: str) -> str:
    if not text.strip():
        raise ValueError("{name} must be a command; it is run by the container's shell")
    return text


def _allow_override_marks(schema: JsonSchemaValue) -> None:
    names = "|".join(sorted(schema["properties"]))
    schema["patternProperties"] = {f"^({names})[:+-]$": {}}


class EnvironmentSections(Value):
    """What a Spack environment takes besides specs (Spack docs, "Environments").

    All keys may carry Spack's marks, as in `key::`, `key+:` and `key-:`.
    """

    model_config = ConfigDict(json_schema_extra=_allow_override_marks)

    definitions: Annotated[Any, OneOf("list")] = None
    packages: Annotated[Any, OneOf("mapping")] = None
    concretizer: Annotated[Any, OneOf("mapping")] = None
    config: Annotated[Any, OneOf("mapping")] = None
    toolchains: Annotated[Any, OneOf("mapping")] = None
    repos: Annotated[Any, OneOf("mapping", "list")] = None
    view: Annotated[Any, OneOf("boolean", "text", "mapping")] = None
    include: Annotated[Any, OneOf("list")] = None
    include_concrete: Annotated[Any, OneOf("list")] = None
    mirrors: Annotated[Any, OneOf("mapping")] = None
    modules: Annotated[Any, OneOf("mapping")] = None
    compilers: Annotated[Any, OneOf("list")] = None
    develop: Annotated[Any, OneOf("mapping")] = None
    env_vars: Annotated[Any, OneOf("mapping")] = None
    upstreams: Annotated[Any, OneOf("mapping")] = None
    bootstrap: Annotated[Any, OneOf("mapping")] = None
    container: Annotated[Any, OneOf("mapping")] = None
    ci: Annotated[Any, OneOf("mapping")] = None
    cdash: Annotated[Any, OneOf("mapping")] = None


class SpackEnvironment(EnvironmentSections):
    """The environment of one container."""

    specs: Annotated[
        Items[Annotated[Any, AfterValidator(_spec), WithJsonSchema({"type": ["string", "object"]})]],
        Field(min_length=1),
    ]
    """What the container holds. The version of the first one becomes the version of the container."""


class TemplateFile(Value):
    """The environment template: what all containers have in common."""

    spack: EnvironmentSections


class Spacktainer(Value):
    """What the container gets besides its packages."""

    files: Items[Annotated[str, AfterValidator(_file_pair)]] = ()
    """Pairs `source:target`: a file or folder below `spacktainer/`, and where it goes in the container."""
    test: Items[Annotated[str, AfterValidator(_command)]] = ()
    """Commands that have to succeed in the image and in the SIF file before either is published."""
    source_builds: bool = False
    """Whether the container may compile what the build cache lacks; without, such a container is not built."""


class DefinitionFile(Value):
    """A container definition: a Spack environment, and what else goes into the container."""

    spack: SpackEnvironment
    spacktainer: Spacktainer | None = None


@dataclass(frozen=True, slots=True)
class ExtraFile:
    """A file or folder that is copied into the container; `source` is relative to `spacktainer/`."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class SpackDefinition:
    """A container that is built from Spack specs."""

    name: str
    architecture: str
    path: str
    environment: Mapping[str, Any]
    """The `spack:` section as it was written."""
    files: tuple[ExtraFile, ...] = ()
    epilogue: str | None = None
    """Path of the Dockerfile lines that are added at the end."""
    tests: tuple[str, ...] = ()
    """Commands for the container's shell that have to succeed before anything is published."""
    source_builds: bool = False
    """Whether the container may compile what the build cache lacks."""


@dataclass(frozen=True, slots=True)
class ImportedDefinition:
    """A container that wraps an existing image."""

    name: str
    architecture: str
    path: str
    image: ImageReference
    text: str = ""
    """The whole definition file."""


Definition = SpackDefinition | ImportedDefinition


def read_definitions(
    root: Path, architectures: Collection[str], line: SpackLine | None = None
) -> tuple[Definition, ...]:
    """All definitions below `root`/container_definitions, sorted by architecture and name.

    With `line`, sections that this Spack does not know are faults. Folders that start with `_` are switched off;
    files that are no definitions are left alone. Raises `InvalidInputError` with the faults of all files,
    `FileAccessError` when the folder cannot be read.
    """
    folder = root / DEFINITIONS_FOLDER
    definitions: dict[tuple[str, str], Definition] = {}
    faults: list[Fault] = []
    try:
        for architecture in _folders(folder):
            if architecture.name not in architectures:
                hint = did_you_mean(architecture.name, architectures)
                message = f"the site file knows no architecture {architecture.name!r}"
                faults.append(Fault(_relative(architecture, root), 1, 1, message, hint))
                continue
            for path in _candidates(architecture):
                try:
                    definition = _read(path, root, architecture.name, line)
                except InvalidInputError as error:
                    faults.extend(error.faults)
                    continue
                key = definition.architecture, definition.name
                if key in definitions:
                    message = f"{definition.name!r} is already defined in {definitions[key].path}"
                    faults.append(Fault(definition.path, 1, 1, message, "give one of them another name"))
                definitions.setdefault(key, definition)
    except OSError as error:
        raise FileAccessError(f"{error.filename}: {error.strerror}") from None
    if faults:
        raise InvalidInputError(faults)
    return tuple(definitions[key] for key in sorted(definitions))


def read_template(document: Document, line: SpackLine | None = None) -> Mapping[str, Any]:
    """The `spack:` section of the environment template, as it was written. Raises `InvalidInputError`."""
    validate(TemplateFile, _without_override_marks(document, ("spack",)))
    faults = _unknown_sections(document, line)
    if faults:
        raise InvalidInputError(faults)
    return dict(document.value["spack"])


def _folders(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(("_", ".")):
            yield path


def _candidates(architecture: Path) -> Iterator[Path]:
    """The files that define a container, in the order of their names."""
    for path in sorted(architecture.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.name.startswith("_"):
                environments = [path / f"spack{suffix}" for suffix in _YAML]
                yield from [file for file in environments if file.is_file()] or [environments[0]]
        elif path.suffix in (*_YAML, ".def"):
            yield path


def _read(path: Path, root: Path, architecture: str, line: SpackLine | None) -> Definition:
    in_folder = path.parent.name != architecture or path.parent.parent.name != DEFINITIONS_FOLDER
    shown = _relative(path, root)
    name = path.parent.name if in_folder else path.stem
    if in_folder and not path.is_file():
        hint = "add it, or start the folder's name with '_' to switch it off"
        raise InvalidInputError([Fault(_relative(path.parent, root), 1, 1, "the folder has no spack.yaml", hint)])
    faults = list(_name_faults(name, shown))
    definition: Definition | None = None
    try:
        content = path.read_bytes()
        if path.suffix == ".def":
            image = read_imported_image(content, shown)
            definition = ImportedDefinition(name, architecture, shown, image, content.decode("utf-8-sig"))
        else:
            epilogue = path.parent / EPILOGUE_FILE
            has_epilogue = in_folder and epilogue.is_file()
            document = parse(content, shown)
            written = validate(DefinitionFile, _without_override_marks(document, ("spack",)))
            extra = written.spacktainer or Spacktainer()
            faults += _unknown_sections(document, line)
            definition = SpackDefinition(
                name,
                architecture,
                shown,
                document.value["spack"],
                _extra_files(extra, document, root),
                _relative(epilogue, root) if has_epilogue else None,
                extra.test,
                extra.source_builds,
            )
    except InvalidInputError as error:
        faults.extend(error.faults)
    if faults or definition is None:
        raise InvalidInputError(faults)
    return definition


def _unknown_sections(document: Document, line: SpackLine | None) -> list[Fault]:
    """Faults for what the Spack line in use does not know."""
    if line is None:
        return []
    sections = {key: line.why_unknown(_MARK.sub("", key), value) for key, value in document.value["spack"].items()}
    return [
        document.fault(("spack", key), *reason.split("; "), of_key=True) for key, reason in sections.items() if reason
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


def _extra_files(written: Spacktainer, document: Document, root: Path) -> tuple[ExtraFile, ...]:
    files = tuple(ExtraFile(*pair.split(":")) for pair in written.files)
    faults = [
        document.fault(("spacktainer", "files", index), f"there is no {EXTRA_FILES_FOLDER}/{file.source}")
        for index, file in enumerate(files)
        if not (root / EXTRA_FILES_FOLDER / file.source).exists()
    ]
    if faults:
        raise InvalidInputError(faults)
    return files


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
