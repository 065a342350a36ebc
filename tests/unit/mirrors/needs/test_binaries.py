from __future__ import annotations

from foundation.spack.layout_v3 import Blob, SpecManifest
from foundation.stores.store import StoredObject
from job_creator.mirrors.needs.binaries import archive_keys, manifest_keys, whole_v2, whole_v3

HASH = "a" * 32
OTHER = "b" * 32


def stored(key: str, size: int = 1) -> StoredObject:
    return StoredObject(key, size, 0.0, "")


def test_manifests_are_found_by_the_hash_in_their_names() -> None:
    key = f"v3/manifests/spec/my-tool/my-tool-1.0-{HASH}.spec.manifest.json"
    assert manifest_keys([key, "v3/manifests/index/index.manifest.json", "v3/manifests/spec/x.json"]) == {HASH: key}


def test_a_binary_is_whole_if_all_its_blobs_are_there_in_full() -> None:
    blobs = (Blob("blobs/sha256/aa/1", "install", 10), Blob("blobs/sha256/bb/2", "spec", 5))
    manifests = {HASH: SpecManifest("", True, blobs)}
    sizes = {"blobs/sha256/aa/1": 10, "blobs/sha256/bb/2": 5}
    assert whole_v3(manifests, sizes) == {HASH: 15}
    assert whole_v3(manifests, {**sizes, "blobs/sha256/aa/1": 9}) == {}
    assert whole_v3(manifests, {"blobs/sha256/aa/1": 10}) == {}
    assert whole_v3({HASH: SpecManifest("", True, (), "damaged")}, sizes) == {}


def test_layout_v2_wants_spec_file_and_archive() -> None:
    start = "linux-debian12-x86_64_v3-gcc-12.2.0-my-tool-1.0"
    spec, archive = f"build_cache/{start}-{HASH}.spec.json.sig", f"build_cache/linux/gcc/tool/{start}-{HASH}.spack"
    unsigned = f"build_cache/{start}-{OTHER}.spec.json"
    objects = [stored(spec), stored(archive, 9), stored(unsigned), stored("build_cache/index.json")]
    assert whole_v2(objects) == {HASH: 10}
    assert archive_keys(one.key for one in objects) == {HASH: archive}
