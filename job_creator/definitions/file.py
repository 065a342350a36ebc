"""What users write: container definitions and the environment template, as models. The JSON Schemas come from them."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from foundation.validation import Items, Value
from job_creator.project_files import EXTRA_FILES_FOLDER

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
        """The JSON schema of the value, for editors."""
        return {"type": [_TYPES[kind][1] for kind in self.kinds]}

    def _check(self, value: object) -> Any:
        if not isinstance(value, tuple(_TYPES[kind][0] for kind in self.kinds)):
            raise ValueError(f"{{name}} must be a {' or a '.join(self.kinds)}")
        return value


def _one_pair(value: Any) -> Any:
    """A space behind the colon makes a mapping of a pair."""
    if isinstance(value, dict) and len(value) == 1:
        ((source, target),) = value.items()
        return f"{source}: {target}"
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
    if posixpath.isabs(source) or ".." in source.split("/"):
        raise ValueError(
            f"the source {source!r} must lie below {EXTRA_FILES_FOLDER}/; write it relative to that folder"
        )
    if found := _UNSAFE.search(text):
        raise ValueError(f"{text!r} holds {found[0]!r}, which means something else in a Dockerfile; rename the file")
    if not posixpath.isabs(target) or ".." in target.split("/"):
        raise ValueError(f"the target {target!r} must be an absolute path; it is a place in the container")
    return text


def _command(text: str) -> str:
    if not text.strip():
        raise ValueError("{name} must be a command; it is run by the container's shell")
    return text


def _library(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.+*?-]+", text):
        raise ValueError(f"{text!r} is no name of a library; write it as in 'libmpi.so.12', where '*' may be anything")
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


class SelectingEnvironment(EnvironmentSections):
    """The environment of packages that are selected: specs may stand beside them."""

    specs: Items[Annotated[Any, AfterValidator(_spec), WithJsonSchema({"type": ["string", "object"]})]] = ()
    """Specs besides what is selected."""


class TemplateFile(Value):
    """The environment template: what all containers have in common."""

    spack: EnvironmentSections


def _pattern(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_*?\[\]!-]+", text):
        raise ValueError(f"{text!r} is no name of a package; write it as in 'cuda' or 'py-*'")
    return text


class PackageSelection(Value):
    """All packages of the package repository that fit; what is left out here selects nothing away."""

    build_systems: Items[Annotated[str, Field(min_length=1)]] = ()
    """How a package may be built, such as `cmake` or `autotools`; one of them has to be among its build systems."""
    licenses: Items[Annotated[str, Field(min_length=1)]] = ()
    """SPDX identifiers. Each license that the recipe states has to be allowed by them; one without any is left out."""
    exclude: Items[Annotated[str, AfterValidator(_pattern)]] = ()
    """Names that are left out; `*` may be anything."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """How many are taken at most, in the order of their names."""


class Spacktainer(Value):
    """What the container gets besides its packages."""

    files: Items[Annotated[str, BeforeValidator(_one_pair), AfterValidator(_file_pair)]] = ()
    """Pairs `source:target`: a file or folder below `spacktainer/`, and where it goes in the container."""
    test: Items[Annotated[str, AfterValidator(_command)]] = ()
    """Commands that have to succeed in the image and in the SIF file before either is published."""
    source_builds: bool = False
    """Whether the container may compile what the build cache lacks; without, such a container is not built."""
    host_libraries: Items[Annotated[str, AfterValidator(_library)]] = ()
    """Libraries that the host brings, such as `libmpi.so.12`, so that the image may lack them; `*` may be anything."""
    audit: Literal["fail", "report"] = "fail"
    """What becomes of a SIF file whose audit finds faults: it is not published, or it is only told."""
    build_only: bool = False
    """Whether the packages only go into the build cache, and no image is made."""
    select: PackageSelection | None = None
    """Packages beside those of `specs`, each concretized by itself; for `jc packages`, not for pipelines."""
    collect: Items[Literal["bitcode", "sources", "licenses"]] = ()
    """What builds leave beside the build cache; for `jc packages` and `jc build`, not for pipelines."""

    @model_validator(mode="after")
    def _check(self) -> Spacktainer:
        if self.select is not None and not self.build_only:
            raise ValueError("'select' makes no image; write build_only: true beside it")
        if self.collect and not self.build_only:
            raise ValueError("'collect' makes no image; write build_only: true beside it")
        of_images = {"files": self.files, "test": self.test, "source_builds": self.source_builds}
        of_images["host_libraries"] = self.host_libraries
        if self.build_only and (without := [name for name, value in of_images.items() if value]):
            names = " and ".join(map(repr, without))
            raise ValueError(f"{names} would go into an image, and build_only: true makes none; remove one of them")
        return self


class DefinitionFile(Value):
    """A container definition: a Spack environment, and what else goes into the container."""

    spack: SpackEnvironment
    spacktainer: Spacktainer | None = None


class SelectingFile(Value):
    """A definition that selects packages instead of naming all of them."""

    spack: SelectingEnvironment
    spacktainer: Spacktainer
