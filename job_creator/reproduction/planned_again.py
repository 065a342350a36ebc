"""The build of a published container, planned again from its commit, as the pipeline did.

The plan's own fingerprints say whether it is the same build: those of the container are its labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import list_files, read_file, write_files
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from foundation.spack.lockfile import Lockfile, read_lockfile
from foundation.yaml_io import dump
from job_creator import inputs, project_files
from job_creator.containers.runtime_variables import RUNTIME_VARIABLES, runtime_variables_file
from job_creator.definitions.choice import EVERYTHING
from job_creator.engines.gitlab import names
from job_creator.environments.from_spack import FILE, write_from_spack
from job_creator.inputs import Written
from job_creator.pipelines import base, containers
from job_creator.provenance.namespaces import BRANCHES
from job_creator.reproduction.checkout import place_files
from job_creator.reproduction.container_build import FoundContainer
from job_creator.reproduction.published import PublishedContainer

_NOT_LABELS: Final = "org.opencontainers."


@dataclass(frozen=True, slots=True)
class PlannedAgain:
    """A build, and what of it is not as it was."""

    found: FoundContainer
    differences: tuple[str, ...]
    """Labels, without the site's prefix, that say something else than those of the container."""


def planned_again(
    published: PublishedContainer, checkout: Path, site_file: str, client: RegistryClient | None
) -> PlannedAgain:
    """Plan its build from the commit that it names, in a folder of its own.

    `checkout` has to have that commit; `client` asks the registry for the variables of the runtime image, without which
    the image's own can differ. Raises `NotThereError` where commit or definition are not there, `InvalidInputError` for
    what this release of `jc` cannot read, and `CouldNotAskError`.
    """
    if not published.commit:
        raise NotThereError(f"{published.source}: does not say of which commit it is; say so with --commit")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        # Never from where the container says: a template of a Dockerfile is a program, and this makes it run.
        place_files(published.commit, ["."], checkout, "", root)
        written = inputs.read_all(root, site_file)
        architecture = _architecture(published, written)
        environment = _environment(published)
        _write_environment(root, published, written, architecture, environment)
        out_dir = root / names.container_artifacts(architecture)
        only = (published.name,)
        environments = root / project_files.environments_folder(architecture)
        request = containers.ContainersRequest(
            architecture, out_dir, environments, "pipeline.yaml", offline=True, only=only
        )
        plan, _ = containers.generate(root, written, environment, request)
        files = {path: read_file(root / path) for path in _generated(root, published.name, architecture)}
    folder = f"{names.container_artifacts(architecture)}/{published.name}"
    if f"{folder}/labels" not in files:
        reasons = "; ".join(one.reason for one in plan.decisions if one.name == published.name)
        raise NotThereError(f"{published.source}: commit {published.commit} cannot make {published.name!r}: {reasons}")
    platform = written.site.platform(architecture)
    if client and (found := _runtime_variables(client, published.runtime, platform)) is not None:
        files[f"{folder}/{RUNTIME_VARIABLES}"] = found
    container = FoundContainer(
        name=published.name,
        source=published.source,
        commit=published.commit,
        platform=platform,
        folder=folder,
        files=files,
        has_tests=b"smoke test:" in files[f"{folder}/smoke_tests.sh"],
        buildah=written.site.images.buildah,
        config_digest=published.config_digest,
        layers=published.layers,
    )
    return PlannedAgain(container, tuple(_differences(published.labels, container.lines("labels"))))


def _architecture(published: PublishedContainer, written: Written) -> str:
    """The site's name of the architecture: as the container says, or the first of its platform."""
    site = written.site
    if published.architecture in site.architectures:
        return published.architecture
    found = [name for name in site.architectures if site.platform(name) == published.platform]
    if not found:
        raise NotThereError(f"{published.source}: the site knows no architecture for {published.platform!r}")
    return found[0]


def _environment(published: PublishedContainer) -> dict[str, str]:
    """What GitLab told the job."""
    kind, _, branch = published.ref.removeprefix("refs/").partition("/")
    runtime = published.runtime
    repository = runtime.partition("@")[0]
    registry = repository.rpartition("/")[0]
    # Only who made the image knows which of the two repositories of builder images it was.
    builder = f"{registry}/{BRANCHES if repository.rpartition('/')[2].startswith(BRANCHES) else ''}builder"
    return {
        "CI_COMMIT_REF_NAME": branch,
        "CI_DEFAULT_BRANCH": branch if published.is_default_branch else f"not {branch}",
        **({"CI_COMMIT_TAG": branch} if kind == "tags" else {}),
        "CI_COMMIT_SHA": published.commit,
        "CI_PROJECT_URL": published.repository_url,
        "CI_REGISTRY_IMAGE": registry,
        "BUILDER_IMAGE": f"{builder}@{published.identity('builder')}",
        "RUNTIME_IMAGE": runtime,
    }


def _write_environment(
    root: Path, published: PublishedContainer, written: Written, architecture: str, environment: Mapping[str, str]
) -> None:
    """The environment as its job left it: the container's own lockfile, and the manifest that the commit says."""
    plan = base.make_plan(root, written, environment, offline=True, choice=EVERYTHING)
    manifest: Any = plan.environments.get(project_files.merged_environment(published.name, architecture))
    if manifest is None:
        raise NotThereError(f"{published.source}: commit {published.commit} defines no {published.name!r} of packages")
    lock = read_lockfile(published.lock, "spack.lock")
    folder = f"{project_files.environments_folder(architecture)}/{published.name}/concrete_environment"
    files = {"spack.lock": published.lock, "spack.yaml": dump(manifest).encode()}
    write_files(root / folder, {**files, FILE: write_from_spack(_roots(lock, published.version))})


def _roots(lock: Lockfile, version: str) -> list[tuple[str, str]]:
    """The roots, first the one that gave the container its version."""
    roots = sorted(lock.roots, key=lambda root: lock.specs[root].version != version)
    return [(lock.specs[root].name, root) for root in roots]


def _generated(root: Path, container: str, architecture: str) -> list[str]:
    folders = (
        f"{names.container_artifacts(architecture)}/{container}",
        f"{names.container_artifacts(architecture)}/{project_files.DEFAULT_IMAGE_FILES}",
        f"{project_files.environments_folder(architecture)}/{container}/concrete_environment",
    )
    there = [folder for folder in folders if (root / folder).is_dir()]
    return [f"{folder}/{entry.path}" for folder in there for entry in list_files(root / folder) if entry.path]


def _runtime_variables(client: RegistryClient, runtime: str, platform: str) -> bytes | None:
    """The ENV of the runtime image, as the pipeline writes it; `None` where nobody can say."""
    query = Query(runtime, platform)
    try:
        found = client.look_up([query])[query]
    except CouldNotAskError:
        return None
    return runtime_variables_file(found.variables) if found else None


def _differences(before: Mapping[str, str], after: tuple[str, ...]) -> list[str]:
    """The labels that make a container what it is, and say something else now."""
    now = dict(line.partition("=")[::2] for line in after)
    own = [label for label in now if not label.startswith(_NOT_LABELS)]
    return [label.rpartition(".")[2] for label in own if before.get(label) != now[label]]
