from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.layout_v3 import INDEX, index_blob, index_manifests, read_manifest, spec_blob
from foundation.spack.lockfile import read_lockfile
from foundation.spack.specs import read_spec_file
from foundation.stores.store import Content
from foundation.yaml_io import dump
from job_creator.builds.merge import merge
from job_creator.engines.gitlab.generated import read_generated
from job_creator.rehearsal import replay
from job_creator.rehearsal.shell import binaries

NODES = replay.recording().nodes
NAMES = sorted({str(node["name"]) for node in NODES.values() if "external" not in node})
ORIGIN = {"job": "generate build cache population job for x for amd64", "pipeline": "4711"}


def test_a_recorded_root_is_found_whatever_the_order_of_its_words() -> None:
    asked = ("hdf5 +mpi +fortran +hl", "hdf5+hl+fortran +mpi")
    first, second = (replay.concretized([text]).lock["roots"][0]["hash"] for text in asked)
    assert first == second == replay.recording().roots["hdf5+fortran+hl+mpi"]


def test_a_package_that_was_only_a_dependency_is_found_by_its_name() -> None:
    lock = replay.concretized(["zlib-ng@2.2 +opt"]).lock
    assert NODES[lock["roots"][0]["hash"]]["name"] == "zlib-ng"


@pytest.mark.parametrize(("spec", "version"), [("my-own-code@2.5 +x", "2.5"), ("other ~y", "1.0"), ("z@=3", "3")])
def test_what_was_never_recorded_is_a_package_without_dependencies(spec: str, version: str) -> None:
    found = replay.concretized([spec, "bzip2"])
    assert found.unknown == (spec,)
    specs = read_lockfile(json.dumps(found.lock).encode(), "spack.lock").specs
    made_up = specs[found.lock["roots"][0]["hash"]]
    assert (made_up.name, made_up.version, made_up.dependencies) == (spec.split("@")[0].split()[0], version, ())


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), st.data())
def test_every_package_that_is_not_built_gets_a_job_behind_those_it_needs(
    names: list[str], data: st.DataObject
) -> None:
    lock = replay.concretized(names).lock
    own = [hash_ for hash_, node in lock["concrete_specs"].items() if "external" not in node]
    built = frozenset(data.draw(st.sets(st.sampled_from(own))))
    document = replay.pipeline(lock, built, {"image": "x", "script": ["spack ci rebuild"]}, ORIGIN, "jobs/x")
    read = read_generated("x", "x/pipeline.yml", dump(document).encode(), lock=json.dumps(lock).encode())
    assert set(merge([read.builds]).steps) == set(own) - built
    for key, job in read.jobs.items():
        direct = set(replay.dependencies(lock["concrete_specs"][key])) & (set(own) - built)
        assert direct <= read.builds.needs[key]
        assert ORIGIN in job.keywords["needs"]


def test_an_entry_of_the_cache_is_one_that_is_read_as_such() -> None:
    nodes = replay.concretized(["bzip2"]).lock["concrete_specs"]
    hash_ = next(hash_ for hash_, node in nodes.items() if node["name"] == "bzip2")
    written = dict(binaries.entry(hash_, nodes))
    *blobs, key = written
    manifest = read_manifest(Content(written[key], ""), key)
    assert [blob.key for blob in manifest.blobs] == blobs
    assert [blob.size for blob in manifest.blobs] == [len(written[one]) for one in blobs]
    spec = spec_blob(manifest)
    assert spec is not None
    nodes_in_it = read_spec_file(binaries.unpacked(written[spec.key]), spec.key).nodes
    assert next(iter(nodes_in_it))["name"] == "bzip2"
    index = dict(binaries.index([nodes[hash_]]))
    database = index_blob(read_manifest(Content(index[INDEX], ""), INDEX))
    assert list(json.loads(index[database])["database"]["installs"]) == [hash_]
    # A view has a manifest of its own.
    (_, (key, _)) = binaries.index([nodes[hash_]], "tool-set")
    assert index_manifests({key: manifest}) == {key: "tool-set"}
