"""Jobs around those of packages: indexes of mirrors, views of them, and what else Spack generated."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from foundation.spack.releases import Novelty
from foundation.stores.schemes import split_url
from job_creator import project_files
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.generated import INDEX_JOBS, Generated
from job_creator.engines.gitlab.jobs.package_images import package_image
from job_creator.engines.gitlab.jobs.packages import (
    SCRIPTS,
    STAGE_INDEX,
    STAGE_SERVICES,
    PackagePlace,
    other_keywords,
    scripts_of,
    tags_of,
    variables_of_environment,
)
from job_creator.engines.gitlab.jobs.retries import USUAL_RETRY
from job_creator.engines.gitlab.objects import RawJob, resource_group
from job_creator.scripts.rendering import render


def index_jobs(generated: Sequence[Generated], place: PackagePlace) -> tuple[RawJob, ...]:
    """One job for each mirror that rebuilds its index, once, after everything else, also after failures."""
    sources = {
        (container.mirror or place.setting.destination.url): container.services["rebuild-index"]
        for container in reversed(generated)
        if "rebuild-index" in container.services
    }
    several = len(sources) > 1
    return tuple(
        _index_job(f"rebuild-index {number}" if several else "rebuild-index", mirror, sources[mirror], place)
        for number, mirror in enumerate(sorted(sources), start=1)
    )


def view_jobs(generated: Sequence[Generated], place: PackagePlace) -> tuple[RawJob, ...]:
    """Jobs that write a view of the index for each container: what its lockfile has, under the container's name.

    Where Spack knows views, and on the default branch only: that nobody removes those of branches that are gone. They
    follow the jobs that rebuild the indexes, so that all packages are there that will be.
    """
    if not (place.setting.is_default_branch and place.setting.line.has(Novelty.INDEX_VIEWS)):
        return ()
    indexes = [{"job": job.name, "artifacts": False} for job in index_jobs(generated, place)]
    containers: dict[str, list[str]] = {}
    for one in generated:
        if indexes and one.builds.graph is not None:
            containers.setdefault(one.mirror or place.setting.destination.url, []).append(one.container)
    most = place.site.gitlab.limits.max_needs - len(indexes)
    chunks = [
        (mirror, found[start : start + most])
        for mirror, found in sorted(containers.items())
        for start in range(0, len(found), most)
    ]
    return tuple(
        _view_job(f"update views {number}" if len(chunks) > 1 else "update views", mirror, chunk, indexes, place)
        for number, (mirror, chunk) in enumerate(chunks, start=1)
    )


def service_jobs(generated: Sequence[Generated], place: PackagePlace) -> tuple[RawJob, ...]:
    """What else Spack generated (signing, copying, and what newer Spacks may add), each once for equal content."""
    written: dict[str, Mapping[str, Any]] = {}
    prepared: dict[str, dict[str, Any]] = {}
    for container in generated:
        for name, keywords in container.services.items():
            if name in INDEX_JOBS or written.get(name) == keywords:
                continue
            own = f"{name} for {container.container}" if name in written else name
            written[own] = keywords
            prepared[own] = {
                **{key: value for key, value in keywords.items() if key not in ("needs", "image", *SCRIPTS)},
                **scripts_of(keywords, place),
                "stage": STAGE_SERVICES,
                "variables": {**container.variables, **(keywords.get("variables") or {})},
                **({"image": package_image(keywords["image"], place)} if keywords.get("image") else {}),
            }
    return tuple(RawJob(name, f"service {index}", prepared[name]) for index, name in enumerate(sorted(prepared)))


def _index_job(name: str, mirror: str, source: Mapping[str, Any], place: PackagePlace) -> RawJob:
    adds = place.architecture.build_cache.index == "spackitor"
    keywords = {
        **other_keywords(source),
        **({"timeout": source["timeout"]} if source.get("timeout") else {}),
        **(_of_spackitor(mirror, place) if adds else _of_spack(mirror, source, place)),
        "dependencies": [],
    }
    keywords["variables"] = {**keywords["variables"], **variables_of_environment(source, place)}
    return _job_at_mirror(name, mirror, keywords, place)


def _of_spack(mirror: str, source: Mapping[str, Any], place: PackagePlace) -> dict[str, Any]:
    return {
        **{key: lines for key, lines in scripts_of(source, place).items() if key != "script"},
        "image": package_image(source.get("image"), place),
        "tags": tags_of(source, place),
        "script": [render("update_index.sh.j2", mirror=mirror)],
        "variables": _index_variables(place),
    }


def _of_spackitor(mirror: str, place: PackagePlace) -> dict[str, Any]:
    """The same without Spack, and without what Spack wrote to run itself. Where all builds failed, nothing is there."""
    return _with_tools([f"spackitor index {shlex.quote(mirror)} --may-be-empty"], place)


def _with_tools(lines: Sequence[str], place: PackagePlace) -> dict[str, Any]:
    install = render("install_job_creator.sh.j2", command="spackitor")
    access = place.setting.destination.credential_variables()
    return {
        "image": {"name": place.site.images.job_creator, "entrypoint": [""]},
        "tags": list(place.architecture.tags("tools")),
        "before_script": [],
        "script": [install, *lines],
        "variables": {**access, **place.architecture.job_variables("tools")},
    }


def _index_variables(place: PackagePlace) -> dict[str, str]:
    return {**place.setting.destination.credential_variables(), **place.architecture.job_variables("packages")}


def _view_job(
    name: str, mirror: str, containers: Sequence[str], indexes: Sequence[Mapping[str, Any]], place: PackagePlace
) -> RawJob:
    parent = project_files.environments_folder(place.name)
    folders = [(container, f"{parent}/{container}/concrete_environment") for container in containers]
    origins = [{"pipeline": place.pipeline_id, "job": names.environment_job(one, place.name)} for one in containers]
    adds = place.architecture.build_cache.index == "spackitor"
    script = render("update_views.sh.j2", mirror=mirror, containers=folders, adds=adds)
    keywords = {
        **(_with_tools([script], place) if adds else {"script": [script]}),
        "needs": [*indexes, *origins],
        # A view that is missing keeps nobody from anything: the whole index has its packages.
        "allow_failure": True,
    }
    return _job_at_mirror(name, mirror, keywords, place)


def _job_at_mirror(name: str, mirror: str, keywords: Mapping[str, Any], place: PackagePlace) -> RawJob:
    """A job in the builder image that writes to a mirror after everything else, one at a time."""
    setup = render("spack_setup.sh.j2", public_key=place.setting.public_key_variable, signed=False)
    return RawJob(
        name,
        "index",
        {
            "stage": STAGE_INDEX,
            "image": package_image(None, place),
            "tags": list(place.architecture.tags("packages")),
            "before_script": [setup],
            "variables": _index_variables(place),
            "rules": [{"when": "always"}],
            "timeout": place.timeout("tools", "2 hours"),
            "retry": USUAL_RETRY,
            "interruptible": False,
            "resource_group": resource_group(f"index {split_url(mirror)[1]}"),
            **keywords,
        },
    )
