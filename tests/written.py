"""All that is generated for a run of a site, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from foundation.yaml_io import dump
from job_creator.engines.gitlab import base_pipeline
from job_creator.engines.gitlab.container_pipeline import plan
from job_creator.engines.gitlab.container_questions import Publications
from job_creator.engines.gitlab.generated import read_generated
from job_creator.engines.gitlab.packing.pipelines import PackRequest, pack
from job_creator.engines.gitlab.packing.work import package_work
from job_creator.engines.gitlab.parent_pipeline import parent_pipeline
from job_creator.images.knowledge import Knowledge
from job_creator.pipelines.packages import preparation
from job_creator.provenance.signing import SignatureVerdict
from job_creator.publishing.record import OtherFile
from tests.containers import DIGEST, container, images_of, recipe, unknown, wanted, with_keys
from tests.samples import inputs, site
from tests.spack_ci import pipeline


def everything_written(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The parent pipeline, and all files of the others of this run, for amd64, by a name for each."""
    return dict(_written(text, environment))


def _written(text: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    found = inputs(environment=environment, text=text)
    yield "parent", dump(parent_pipeline(found.site, found.definitions))
    base = base_pipeline.plan(replace(found, signs=found.context.is_default_branch), unknown())
    yield "base", dump(base.pipeline.document())
    for name, one in base.environments.items():
        yield name, dump(one)
    place = preparation(found.site, environment, "amd64")
    spack = pipeline("hdf5", {"a": [], "b": ["a"]})
    work = package_work([read_generated("hdf5", "pipeline.yml", spack)], place)
    for file in pack(work, PackRequest("out", "packages")).files:
        yield file.name, file.content.decode()
    yield from _containers(text, environment)


def _containers(text: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Once with all to be built, and once with a file of the default branch that can be copied."""
    made = container(made_with=recipe(environment, text))
    asked = with_keys(wanted(made, environment=environment, text=text))
    setting = preparation(site(text), environment, "amd64").setting
    asked = replace(asked, place=replace(asked.place, credentials=setting.credentials(writes=False)))
    built = plan(asked, unknown(), Publications({}))
    yield "containers", dump(built.pipeline.document())
    for name, content in made.files.items():
        yield f"containers/{name}", content.decode()
    bucket = asked.released or asked.bucket
    if bucket:
        record = replace(container().record, image_digest=DIGEST, sha256="e" * 64, size=7)
        other = OtherFile(record, SignatureVerdict("", "F" * 40), bucket)
        copied = plan(asked, Knowledge(images_of(asked)), Publications({}, others=[other]))
        yield "copies", dump(copied.pipeline.document())
