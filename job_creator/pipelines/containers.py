"""`jc generate-spacktainer-workflow`: from the environments that were concretized to the pipeline of the containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from foundation.doors.files import list_files, read_file, write_files
from foundation.errors import CouldNotAskError, InvalidInputError, NotThereError
from foundation.fingerprints import FileEntry
from foundation.registries.published import Published, Query
from foundation.registries.reference import parse_reference
from foundation.yaml_io import dump
from job_creator import project_files
from job_creator.containers.identity import Container, Recipe, Unbuildable, imported_container, spacktainer
from job_creator.containers.places import wanted_image
from job_creator.definitions.choice import Choice, read_choice
from job_creator.definitions.definitions import Definition, ImportedDefinition, SpackDefinition, makes_image
from job_creator.engines.gitlab.container_pipeline import ContainerPlan, plan
from job_creator.engines.gitlab.container_questions import Publications, WantedContainers, questions
from job_creator.engines.gitlab.jobs.containers import ContainerPlace
from job_creator.engines.gitlab.limits import LimitReport, check
from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.environments.from_spack import FILE
from job_creator.images.knowledge import Knowledge, registry_of
from job_creator.inputs import Written
from job_creator.pipelines.base import HEADER
from job_creator.pipelines.images import logins, with_proofs
from job_creator.pipelines.packages import preparation
from job_creator.pipelines.publications import ask_buckets
from job_creator.provenance.signing import public_key, signs
from job_creator.repository import default, part
from job_creator.site.run import Context
from job_creator.site.site import Site

_OFFLINE = "not asked whether it is published (--offline)"
_NO_REGISTRY = "no registry is configured, so nothing counts as published"


_Upstream = Mapping[Query, Published | CouldNotAskError | None]


@dataclass(frozen=True, slots=True)
class ContainersRequest:
    """What the command was asked for."""

    architecture: str
    out_dir: Path
    environments: Path | None
    output_file: str
    offline: bool
    only: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()


def generate(
    root: Path, written: Written, environment: Mapping[str, str], arguments: ContainersRequest
) -> tuple[ContainerPlan, LimitReport]:
    """Read, ask, plan and write.

    Raises `InvalidInputError`, `CouldNotAskError`, `NotThereError`, `LimitExceededError` and `FileAccessError`.
    """
    made_for = preparation(written.site, environment, arguments.architecture)
    context = Context.from_environment(environment)
    registries = _Registries(written.site, context, environment, asks=not arguments.offline)
    choice = read_choice(arguments.only, arguments.forced, written.definitions)
    imaged = [one for one in written.definitions if makes_image(one)]
    definitions = choice.of(one for one in imaged if one.architecture == arguments.architecture)
    environments = arguments.environments or Path(project_files.environments_folder(arguments.architecture))
    bases = _base_images(definitions, registries, environment, written.site.platform(arguments.architecture))
    image_files = part(root, project_files.IMAGE_FILES_FOLDER)
    folder = _in_checkout(arguments.out_dir)
    recipe = Recipe(
        setting=made_for.setting,
        context=context,
        registry=registries.own,
        label_prefix=written.site.registry.label_prefix,
        architecture=arguments.architecture,
        platform=written.site.platform(arguments.architecture),
        folder=folder,
        environments=_in_checkout(environments),
        dockerfile=read_file(part(root, project_files.DOCKERFILE_TEMPLATE).path).decode(),
        image_files=list_files(image_files.path),
        image_folder=f"{folder}/{project_files.DEFAULT_IMAGE_FILES}" if image_files.is_default else image_files.name,
        builder=bases["builder"].reference if bases else "",
        runtime=bases["runtime"].reference if bases else "",
        runtime_variables=bases["runtime"].variables if bases else {},
    )
    found = list(_containers(definitions, recipe, root, environments, registries))
    wanted = WantedContainers(
        place=ContainerPlace(
            name=arguments.architecture,
            architecture=made_for.architecture,
            site=written.site,
            singularitah=_by_digest("singularitah", registries, environment, recipe.platform).reference,
            folder=recipe.folder,
            base_pipeline=made_for.pipeline_id,
            credentials=made_for.setting.credentials(writes=False),
        ),
        context=context,
        containers=[one for one in found if isinstance(one, Container)],
        unbuildable=[one for one in found if isinstance(one, Unbuildable)],
        architectures=_tagged(written),
        signs=signs(written.site.signing, environment, context),
        has_keys=public_key(written.site.signing, environment) is not None,
    )
    publications = Publications(None, _OFFLINE) if arguments.offline else ask_buckets(wanted, environment)
    built = plan(wanted, registries.knowledge(wanted, choice), publications)
    return built, _write(built, written, arguments)


@dataclass(frozen=True, slots=True)
class _Registries:
    """The registries of a run. Where they are not asked, nothing counts as published."""

    site: Site
    context: Context
    environment: Mapping[str, str]
    asks: bool

    @property
    def own(self) -> str:
        """Registry and group of this project's images."""
        return registry_of(self.site, self.context)

    @property
    def why_unknown(self) -> str:
        if not self.asks:
            return _OFFLINE
        return _NO_REGISTRY if self.own.startswith("$") else ""

    def look_up(self, queries: Iterable[Query]) -> dict[Query, Published | None]:
        from foundation.registries.images import RegistryClient

        return RegistryClient(logins(self.site, self.environment)).look_up(tuple(queries))

    def look_upstream(self, queries: Iterable[Query]) -> _Upstream:
        """What the registries of others say, each of which may fail by itself; this project's own may not."""
        from foundation.registries.images import RegistryClient

        answers = RegistryClient(logins(self.site, self.environment)).answers(tuple(queries))
        for query, answer in answers.items():
            if isinstance(answer, CouldNotAskError) and query.reference.startswith(f"{self.own}/"):
                raise answer
        return answers

    def knowledge(self, wanted: WantedContainers, choice: Choice) -> Knowledge:
        forced = [one.name for one in wanted.containers if choice.forces(one.name)]
        if self.why_unknown:
            return Knowledge(None, self.why_unknown, forced)
        from foundation.registries.images import RegistryClient

        client = RegistryClient(logins(self.site, self.environment))
        known = Knowledge(client.look_up(questions(wanted)), forced=forced)
        return with_proofs(known, map(wanted_image, wanted.containers), client, self.site, self.environment)


@dataclass(frozen=True, slots=True)
class _FoundImage:
    """A base image by digest, with its ENV; not asked for, it has none."""

    reference: str
    variables: Mapping[str, str] = field(default_factory=dict)


def _base_images(
    definitions: Iterable[Definition], registries: _Registries, environment: Mapping[str, str], platform: str
) -> dict[str, _FoundImage]:
    """The images that containers of Spack packages are made with, where there are any."""
    if not any(isinstance(one, SpackDefinition) for one in definitions):
        return {}
    found: dict[str, _FoundImage] = {}
    for name in ("builder", "runtime"):
        found[name] = _by_digest(name, registries, environment, platform)
        if not registries.why_unknown and "@" not in found[name].reference:
            hint = "has its job succeeded?"
            raise NotThereError(f"{found[name].reference}: there is no such image for {platform}; {hint}")
    return found


def _by_digest(name: str, registries: _Registries, environment: Mapping[str, str], platform: str) -> _FoundImage:
    """A base image by its digest; as it was named where nobody was asked, or where there is none."""
    named = environment.get(f"{name.upper()}_IMAGE") or f"{registries.own}/{name}:latest"
    try:
        reference = parse_reference(named)
    except ValueError:
        # The job that builds it left no digest.
        return _FoundImage(named.partition("@")[0])
    if registries.why_unknown:
        return _FoundImage(named)
    query = Query(named, platform)
    published = registries.look_up([query])[query]
    if published is None:
        return _FoundImage(named.partition("@")[0])
    return _FoundImage(str(replace(reference, tag=None, digest=published.digest)), published.variables)


def _containers(
    definitions: Iterable[Definition], recipe: Recipe, root: Path, environments: Path, registries: _Registries
) -> Iterator[Container | Unbuildable]:
    """What the definitions describe. One that cannot be made does not keep the others from being made."""
    imported = [one for one in definitions if isinstance(one, ImportedDefinition)]
    upstream: _Upstream = {}
    if imported and registries.asks:
        upstream = registries.look_upstream(Query(str(one.image), recipe.platform) for one in imported)
    for definition in definitions:
        if isinstance(definition, ImportedDefinition):
            yield _imported(definition, recipe, root, upstream if registries.asks else None)
        else:
            yield _spacktainer(definition, recipe, root, environments)


def _imported(
    definition: ImportedDefinition, recipe: Recipe, root: Path, upstream: _Upstream | None
) -> Container | Unbuildable:
    """The container of an image about which its registry was asked, unless `upstream` is `None`."""
    extra_files = _extra_files(definition, root)
    if upstream is None:
        return imported_container(definition, definition.image, recipe, extra_files)
    published = upstream[Query(str(definition.image), recipe.platform)]
    if isinstance(published, CouldNotAskError):
        return Unbuildable(definition.name, definition.architecture, f"{definition.path}: {published}")
    if published is None or published.architecture != recipe.platform:
        has = f"is for {published.architecture}" if published else "does not exist"
        reason = f"{definition.path}: {definition.image} {has}; it is wanted for {recipe.platform}"
        return Unbuildable(definition.name, definition.architecture, reason)
    image = replace(definition.image, tag=None, digest=published.digest)
    return imported_container(definition, image, recipe, extra_files)


def _spacktainer(
    definition: SpackDefinition, recipe: Recipe, root: Path, environments: Path
) -> Container | Unbuildable:
    folder = environments / definition.name / "concrete_environment"
    if not (folder / "spack.lock").is_file():
        reason = f"{folder / 'spack.lock'} is missing: its environment was not concretized"
        return Unbuildable(definition.name, definition.architecture, reason)
    try:
        environment = ConcreteEnvironment.read(
            read_file(folder / "spack.lock"),
            read_file(folder / "spack.yaml"),
            str(folder),
            read_file(folder / FILE) if (folder / FILE).is_file() else None,
        )
        extra_files = _extra_files(definition, root)
        recipes = {folder: list_files(root / folder) for folder in environment.recipes}
        epilogue = read_file(root / definition.epilogue).decode("utf-8-sig") if definition.epilogue else None
        return spacktainer(definition, environment, recipe, extra_files, epilogue, recipes)
    except InvalidInputError as error:
        return Unbuildable(definition.name, definition.architecture, str(error))


def _extra_files(definition: Definition, root: Path) -> dict[str, tuple[FileEntry, ...]]:
    """What is behind each source of the definition's files."""
    folder = root / project_files.EXTRA_FILES_FOLDER
    return {file.source: list_files(folder / file.source) for file in definition.files}


def _tagged(written: Written) -> dict[str, tuple[str, ...]]:
    """The architectures whose images the tag of each container points to."""
    defined: dict[str, list[str]] = {}
    for definition in filter(makes_image, written.definitions):
        defined.setdefault(definition.name, []).append(definition.architecture)
    return {name: written.site.in_one_index(architectures) for name, architectures in defined.items()}


def _write(built: ContainerPlan, written: Written, arguments: ContainersRequest) -> LimitReport:
    document = built.pipeline.document()
    pipeline = {arguments.output_file: dump(document, HEADER).encode()}
    limits = check(document, written.site.gitlab.limits, depth=1, archive=pipeline)
    limits.require(str(arguments.out_dir / arguments.output_file))
    images: dict[str, bytes] = {}
    if project_files.IMAGE_FILES_FOLDER in written.defaults:
        images = default(project_files.IMAGE_FILES_FOLDER).files()
    handed_on = {f"{project_files.DEFAULT_IMAGE_FILES}/{path}": content for path, content in images.items()}
    write_files(arguments.out_dir, {**pipeline, **built.files, **handed_on})
    return limits


def _in_checkout(folder: Path) -> str:
    """A folder as jobs see it, which start in the checkout."""
    return folder.name if folder.is_absolute() else folder.as_posix()
