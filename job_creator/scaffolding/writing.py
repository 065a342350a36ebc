"""Writes what a newcomer starts from: never over anything, and definitions only if they are valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foundation.doors.files import read_file, write_files
from foundation.errors import Fault, InvalidInputError, NotThereError, RefusedError, naming
from foundation.yaml_io import parse
from job_creator import inputs, project_files
from job_creator.engines.gitlab import names
from job_creator.pipelines.base import parent_document
from job_creator.scaffolding.new_definition import DEFINITION_SCHEMA, definition_path, from_image, from_specs
from job_creator.scaffolding.new_site import SiteAnswers, first_container, ignoring, site_files
from job_creator.site.site import read_site

_IGNORE_FILE = ".gitignore"
_EDITOR_FILE = ".vscode/settings.json"


@dataclass(frozen=True)
class NewFiles:
    """What would be written, by its path in the repository, and what goes since its content stands elsewhere then."""

    files: Mapping[str, bytes]
    moved: str = ""
    """The environment that becomes the first definition."""


@dataclass(frozen=True, slots=True)
class DefinitionContent:
    """What a new definition says: specs, an image that is wrapped, or an environment as it is."""

    specs: tuple[str, ...] = ()
    image: str = ""
    environment: Path | None = None


def plan_site(root: Path, answers: SiteAnswers, requirement: str, name: str) -> NewFiles:
    """The files of a new site in `root`. A `spack.yaml` there becomes the first container, which is called `name`.

    Raises `RefusedError` where another file is in the way, `InvalidInputError` where an answer cannot be used, and
    `FileAccessError`.
    """
    files = site_files(answers, requirement)
    if (root / _EDITOR_FILE).exists():
        # Somebody's own settings; the first line of each file leads editors to its schema, too.
        del files[_EDITOR_FILE]
    read_site(parse(files[project_files.SITE_FILE], project_files.SITE_FILE))
    environment = root / project_files.TEMPLATE_FILE
    found = read_file(environment) if environment.is_file() and not (root / project_files.SITE_FILE).exists() else None
    if found is not None or not (root / project_files.DEFINITIONS_FOLDER).exists():
        files |= first_container(answers, name, found)
    in_the_way = [path for path, content in files.items() if (root / path).exists() and not _has(root / path, content)]
    pipeline = root / names.PARENT_PIPELINE
    if pipeline.exists() and not (root / project_files.SITE_FILE).exists():
        in_the_way.append(names.PARENT_PIPELINE)
    if in_the_way:
        raise RefusedError(f"{', '.join(sorted(in_the_way))}: there already, with other content; nothing is written")
    ignored = root / _IGNORE_FILE
    files[_IGNORE_FILE] = ignoring(read_file(ignored).decode(errors="replace") if ignored.exists() else "")
    new = {path: content for path, content in files.items() if not _has(root / path, content)}
    return NewFiles(new, "" if found is None else project_files.TEMPLATE_FILE)


def write_site(root: Path, new: NewFiles) -> inputs.Written:
    """Write a site, and the parent pipeline that follows from it.

    Raises `InvalidInputError` where the environment that was there is no valid definition: all but the pipeline is
    written then.
    """
    write_files(root, new.files)
    if new.moved:
        with naming(root / new.moved):
            (root / new.moved).unlink()
    written = inputs.read_all(root, project_files.SITE_FILE)
    write_files(root, {names.PARENT_PIPELINE: parent_document(written).encode()})
    return written


def write_definitions(
    root: Path, site_file: str, name: str, architectures: tuple[str, ...], content: DefinitionContent
) -> tuple[str, ...]:
    """Write the definition of a container for some architectures, all of the site if none are named: their paths.

    Raises `RefusedError` where there is one, `NotThereError` for architectures that the site lacks, and
    `InvalidInputError` with what is wrong in a new one; nothing is left of it then.
    """
    site = inputs.read_site_file(root, site_file)
    if unknown := [one for one in architectures if one not in site.architectures]:
        raise NotThereError(
            f"the site has no architecture {', '.join(unknown)}; it has {', '.join(site.architectures)}"
        )
    text = _text(root, content)
    files = {
        definition_path(name, one, wraps_image=bool(content.image)): text for one in architectures or site.architectures
    }
    folder = root / project_files.DEFINITIONS_FOLDER
    for one in architectures or site.architectures:
        kinds = [folder / one / f"{name}{ending}" for ending in ("", ".yaml", ".yml", ".def")]
        if found := next((path for path in kinds if path.exists()), None):
            raise RefusedError(f"{found.relative_to(root)}: is there already; change it, or take another name")
    write_files(root, files)
    if faults := _faults_of(root, site_file, files):
        for path in files:
            (root / path).unlink()
        raise InvalidInputError(faults)
    return tuple(files)


def what_is_left_to_do(root: Path, site_file: str) -> str:
    """What has to be done before a push, beside the commit; empty if nothing."""
    try:
        written = inputs.read_all(root, site_file)
    except InvalidInputError:
        return "other files have faults; 'jc check' shows them"
    if _has(root / names.PARENT_PIPELINE, parent_document(written).encode()):
        return ""
    return "the pipeline follows from the site and its containers; run 'jc render-ci', and commit that, too"


def _text(root: Path, content: DefinitionContent) -> bytes:
    if content.image:
        return from_image(content.image)
    if content.environment:
        return read_file(content.environment)
    return from_specs(content.specs, DEFINITION_SCHEMA if (root / DEFINITION_SCHEMA).is_file() else "")


def _faults_of(root: Path, site_file: str, files: Mapping[str, bytes]) -> list[Fault]:
    try:
        inputs.read_all(root, site_file)
    except InvalidInputError as error:
        return [fault for fault in error.faults if fault.path in files]
    return []


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and read_file(path) == content
