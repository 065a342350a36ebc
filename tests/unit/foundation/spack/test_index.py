"""Indexes and spec files of all versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError, RefusedError
from foundation.spack.index import read_index, write_index
from foundation.spack.specs import read_signed_json, read_spec_file, spec_of, upgraded
from tests.unit.spackitor.mirrors import LAYOUTS, RECORDED, LayoutName, Made, dag_hash, node_of

APP, LIB, TOOL = Made("app", ["lib"], ["tool"]), Made("lib"), Made("tool")


def index_text(version: int, *specs: Made, indent: int | None = None) -> bytes:
    specfile = {6: 3, 7: 4, 8: 5}[version]
    installs = {
        dag_hash(spec.name): {"spec": node_of(spec, specfile), "ref_count": 7, "in_buildcache": spec.is_cached}
        for spec in specs
    }
    return json.dumps({"database": {"version": str(version), "installs": installs}}, indent=indent).encode()


def installs_of(data: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(data)["database"]["installs"]
    return value


@pytest.mark.parametrize("layout", LAYOUTS)
def test_recorded_indexes_are_written_back_letter_for_letter(layout: LayoutName) -> None:
    folder = RECORDED / f"layout-{layout}"
    for path in [*folder.glob("build_cache/index.json"), *folder.glob("blobs/sha256/*/*")]:
        data = path.read_bytes()
        if data.startswith(b'{"database"'):
            index = read_index(data, path.name)
            assert write_index(index, index.version, index.listed, {}) == data
            break
    else:
        pytest.fail("no index in the recording")


@pytest.mark.parametrize("version", [6, 7, 8])
@pytest.mark.parametrize("indent", [None, 2])
def test_all_versions_are_read(version: int, indent: int | None) -> None:
    index = read_index(index_text(version, APP, LIB, TOOL, indent=indent), "index.json")
    app = index.records[dag_hash("app")].spec
    assert (index.version, len(index.records)) == (version, 3)
    assert (app.name, app.target, app.dependencies) == ("app", "x86_64_v3", (dag_hash("lib"),))
    assert app.build_dependencies == (dag_hash("tool"),)


@pytest.mark.parametrize("version", ["5", "9", "", None, 8.5])
def test_other_versions_are_refused(version: object) -> None:
    with pytest.raises(RefusedError, match="is not known"):
        read_index(json.dumps({"database": {"version": version, "installs": {}}}).encode(), "index.json")


def test_records_that_nothing_needs_leave_the_index_and_references_are_counted() -> None:
    index = read_index(index_text(8, APP, LIB, TOOL, Made("other", ["lib"])), "index.json")
    kept = installs_of(write_index(index, 8, {dag_hash("app")}, {}))
    counts = {record["spec"]["name"]: (record["ref_count"], record["in_buildcache"]) for record in kept.values()}
    assert counts == {"app": (0, True), "lib": (1, False), "tool": (1, False)}


def test_new_specs_come_into_the_index_with_all_that_they_need() -> None:
    index = read_index(index_text(8, LIB), "index.json")
    nodes = {dag_hash(spec.name): (8, node_of(spec, 5)) for spec in (APP, LIB, TOOL, Made("unrelated"))}
    written = installs_of(write_index(index, 8, {dag_hash("app"), dag_hash("lib")}, nodes))
    assert [record["spec"]["name"] for record in written.values()] == ["lib", "app", "tool"]


@pytest.mark.parametrize("old", [6, 7])
def test_old_records_are_upgraded(old: int) -> None:
    index = read_index(index_text(old, APP, LIB, TOOL), "index.json")
    written = write_index(index, 8, index.listed, {})
    node = installs_of(written)[dag_hash("app")]["spec"]
    assert "compiler" not in node
    assert node["annotations"] == {"original_specfile_version": old - 3, "compiler": "gcc@12.2.0"}
    assert list(node)[-1] == "hash"
    read = read_index(written, "new").records
    assert {hash_: record.spec for hash_, record in read.items()} == {
        hash_: record.spec for hash_, record in index.records.items()
    }
    assert upgraded(node, 8, 8) == node


def test_targets_are_read_in_both_spellings() -> None:
    node = node_of(LIB, 5) | {
        "arch": {"platform": "linux", "platform_os": "x", "target": {"name": "zen4", "parents": []}}
    }
    assert spec_of(node).target == "zen4"


@given(
    st.binary(max_size=60)
    | st.sampled_from([b'{"database":', b'{"database":{}}', b'{"database":{"version":"8","installs":[]}}'])
)
def test_any_bytes_give_an_index_or_an_error(data: bytes) -> None:
    with pytest.raises((DamagedError, RefusedError)):
        read_index(data, "index.json")


@given(st.data())
def test_a_truncated_index_is_damaged(data: st.DataObject) -> None:
    whole = index_text(8, APP, LIB, TOOL)
    with pytest.raises(DamagedError):
        read_index(whole[: data.draw(st.integers(0, len(whole) - 3))], "index.json")


def test_signed_spec_files_are_read_and_dashes_unescaped() -> None:
    text = '{"spec": {"_meta": {"version": 5}, "nodes": [{"hash": "x",\n- "name": "a"}]}}'
    signed = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}\n-----BEGIN PGP SIGNATURE-----\n\nabc"
    assert read_spec_file(signed.encode(), "x").nodes == ({"hash": "x", "name": "a"},)
    with pytest.raises(DamagedError, match="cut off"):
        read_signed_json(signed.partition("-----BEGIN PGP SIGNATURE")[0].encode(), "x")


def test_d89_specfile_versions_that_are_not_known_are_refused() -> None:
    with pytest.raises(RefusedError, match="specfile version 6"):
        read_spec_file(b'{"spec": {"_meta": {"version": 6}, "nodes": [{}]}}', "x")
