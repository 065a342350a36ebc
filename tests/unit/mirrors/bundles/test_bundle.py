"""What a bundle is made of, and which lists are taken for one."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError
from job_creator.mirrors.bundles import SMALLEST_PART
from job_creator.mirrors.bundles.bundle import Bundle, File, Part, Piece, read_bundle
from job_creator.mirrors.bundles.parts import Member, ending, lay_out, offsets
from job_creator.mirrors.contents import is_carried, order, sha256_in_name, why_no_key, why_no_link

SHA = "0" * 64
BLOB = f"blobs/sha256/00/{SHA}"
MANIFEST = "v3/manifests/spec/zlib/zlib-1-abc.spec.manifest.json"
INDEX = "v3/manifests/index/index.manifest.json"

keys = st.lists(st.text("ab.é-", min_size=1, max_size=70), min_size=1, max_size=4).map("/".join)
carried_keys = keys.filter(lambda key: not why_no_key(key) and is_carried(key))
sizes = st.dictionaries(carried_keys, st.integers(0, 3 * SMALLEST_PART), max_size=12)
limits = st.integers(SMALLEST_PART, 3 * SMALLEST_PART)


def written(members: tuple[Member, ...]) -> bytes:
    """A part whose files hold the position of each byte, modulo 251."""
    result = b""
    for member in members:
        content = bytes((member.start + index) % 251 for index in range(member.size))
        result += member.header() + content + member.padding()
    return result + ending(len(result))


@given(sizes, limits)
def test_no_part_is_larger_than_allowed_and_nothing_is_left_out(sizes: dict[str, int], most: int) -> None:
    parts = lay_out(sizes, most)
    found: dict[str, int] = {}
    for members in parts:
        assert members
        assert len(written(members)) <= most
        for member in members:
            assert member.start == found.get(member.key, 0)
            found[member.key] = member.start + member.size
    assert found == sizes


@given(sizes, limits)
def test_any_tar_finds_the_content_where_the_list_says_it_is(sizes: dict[str, int], most: int) -> None:
    for members in lay_out(sizes, most):
        content = written(members)
        assert len(content) % tarfile.RECORDSIZE == 0
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            entries = archive.getmembers()
        assert [entry.offset_data for entry in entries] == list(offsets(members))
        for entry, member in zip(entries, members, strict=True):
            assert entry.isreg()
            assert (entry.size, entry.mtime, entry.uid, entry.gid, entry.uname) == (member.size, 0, 0, 0, "")
            assert entry.name == member.key or (member.number and not is_carried(entry.name))


def test_files_beyond_what_old_tars_can_say_have_headers_too() -> None:
    size = 9 * 2**30
    (members,) = lay_out({"a": size}, 10 * 2**30)
    assert [member.size for member in members] == [size]
    assert len(members[0].header()) > tarfile.BLOCKSIZE
    assert {sum(member.size for member in part) <= 2**32 for part in lay_out({"a": size}, 2**32)} == {True}


def test_a_part_that_could_not_hold_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="65536 bytes at least"):
        lay_out({"a": 1}, SMALLEST_PART - 1)


def test_what_leads_to_something_comes_after_it() -> None:
    listed = [
        BLOB,
        "_source-cache/archive/00/x",
        "recipes/spack.git/objects/pack/pack-1.pack",
        "build_cache/linux/gcc/zlib/zlib.spack",
        "bootstrap/bootstrap_cache/build_cache/a.spack",
        MANIFEST,
        "recipes/spack.git/objects/pack/pack-1.idx",
        "build_cache/zlib.spec.json.sig",
        "bootstrap/metadata/sources/metadata.yaml",
        INDEX,
        "v3/manifests/index/view/index.manifest.json",
        "v3/manifests/key/keys.manifest.json",
        "build_cache/index.json",
        "build_cache/index.json.hash",
        "recipes/spack.git/refs/heads/main",
        "recipes/spack.git/packed-refs",
        "recipes/spack.git/objects/info/packs",
        ".spacktainers/needs.json",
    ]
    assert [order(key)[0] for key in listed] == [0] * 5 + [1] * 4 + [2] * 9


@pytest.mark.parametrize(
    ("key", "carried"),
    [
        (".spacktainers/needs.json", True),
        (".spacktainers/staging/download-1", False),
        (".spackitor/quarantine/1/v3/manifests/x", False),
        ("v3/manifests/spec/zlib/.spackitor-ab12", False),
        ("zlib/.0123456789abcdef0123456789abcdef.link", False),
        ("a/.spacktainers/staging/x", True),
    ],
)
def test_what_is_unfinished_and_records_of_cleaning_stay_at_home(key: str, carried: bool) -> None:
    assert is_carried(key) is carried


def test_names_that_hold_checksums_are_known() -> None:
    assert sha256_in_name(BLOB) == SHA
    assert sha256_in_name(f"_source-cache/archive/00/{SHA}.tar.gz") == SHA
    assert sha256_in_name(f"bootstrap/bootstrap_cache/blobs/sha256/00/{SHA}") == SHA
    assert sha256_in_name(f"_source-cache/archive/00/{SHA}") == SHA
    assert sha256_in_name("_source-cache/archive/00/" + "0" * 32 + ".tar.gz") == ""
    assert sha256_in_name(f"zlib/{SHA}.tar.gz") == ""


@pytest.mark.parametrize("key", ["", "/a", "a/../b", "..", "a//b", "a/", "./a", "a\nb", "a\0", "\udcff", "a" * 5000])
def test_names_that_lead_elsewhere_are_none(key: str) -> None:
    assert why_no_key(key)


@pytest.mark.parametrize(
    ("key", "target", "leads_out"),
    [
        ("zlib/zlib-1.tar.gz", "../_source-cache/archive/00/x", False),
        ("a", "b/c", False),
        ("a/b/c", "../../d", False),
        ("a", "../b", True),
        ("a/b", "../../c", True),
        ("a", "/etc/passwd", True),
        ("a", "", True),
        # If b were a link to the folder above, this would be outside.
        ("a", "b/../../c", True),
        ("a/b", "c/..", True),
        ("a", "b//c", True),
    ],
)
def test_links_stay_in_the_mirror(key: str, target: str, leads_out: bool) -> None:
    assert bool(why_no_link(key, target)) is leads_out


GOOD = Bundle(
    files=(
        File("a", 0, SHA, (Piece(1, 512, 0),)),
        File(BLOB, 10, SHA, (Piece(1, 1024, 4), Piece(2, 512, 6))),
        File(MANIFEST, 5, SHA, (Piece(2, 2048, 5),)),
        File(INDEX, 5, SHA, (Piece(2, 3072, 5),)),
    ),
    parts=(Part("part-0001.tar", 10240, SHA), Part("part-0002.tar", 10240, SHA)),
    links={"zlib/x": "../a"},
    folders=("recipes/spack.git/refs",),
)


def test_a_list_is_read_as_it_was_written() -> None:
    assert read_bundle(GOOD.as_json(), "x") == GOOD
    empty = Bundle((), since=SHA)
    assert read_bundle(empty.as_json(), "x") == empty
    assert read_bundle(Bundle((File("a", 1, SHA),), since=SHA).as_json(), "x").earlier == (File("a", 1, SHA),)


def change(path: str, value: Any) -> Callable[[Any], None]:
    def apply(document: Any) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in steps:
            document = document[step]
        document[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("version", 2, "version 2 of bundles is not known"),
        ("version", "1", "not known"),
        ("files", None, "not laid out"),
        ("files.0.key", "../a", "leads out of the mirror"),
        ("files.0.key", "/etc/passwd", "leads out of the mirror"),
        ("files.0.key", ".spacktainers/staging/x", "is not for bundles"),
        ("files.0.key", ".spackitor/keep/x", "is not for bundles"),
        ("files.0.key", "zz", "not in order"),
        ("files.0.size", 1, "do not make 1 bytes"),
        ("files.0.size", -1, "no number of bytes"),
        ("files.0.size", True, "no number of bytes"),
        ("files.0.size", 1.5, "no number of bytes"),
        ("files.0.sha256", "x", "no sha256"),
        ("files.0.pieces", [], "is in no part"),
        ("files.0.pieces", [[1, 2]], "not laid out"),
        ("files.0.pieces.0.0", 3, "outside of the parts"),
        ("files.0.pieces.0.0", 0, "outside of the parts"),
        ("files.1.pieces.0.1", 10239, "outside of the parts"),
        ("files.1.pieces.1", [1, 1025, 6], "where something else does"),
        ("files.2.pieces.0.1", 517, "where something else does"),
        ("files.1.sha256", "1" * 64, "its name says another"),
        ("parts.0.name", "../part-0001.tar", "is no name of part 1"),
        ("parts.0.name", "part-0002.tar", "is no name of part 1"),
        ("links.0", ["a", "b"], "both a file and a link"),
        ("links.0.0", "a/b/c", "lies below 'a'"),
        ("links.0.1", "../../x", "leads out of the mirror"),
        ("links.0.1", "/etc", "leads out of the mirror"),
        ("folders.0", "a", "both a folder and none"),
        ("folders.0", "..", "leads out of the mirror"),
        ("folders.0", "zlib/x/y", "lies below 'zlib/x'"),
        ("since", "x", "no sha256"),
    ],
)
def test_a_list_that_could_do_harm_is_refused(path: str, value: Any, said: str) -> None:
    document = json.loads(GOOD.as_json())
    change(path, value)(document)
    with pytest.raises(DamagedError, match="place: ") as error:
        read_bundle(json.dumps(document).encode(), "place")
    assert said in str(error.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"version": 1}', b"[" * 100_000, b"null"])
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedError):
        read_bundle(content, "place")


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_changed_byte_never_ends_in_anything_but_a_refusal(place: int, byte: int) -> None:
    content = bytearray(GOOD.as_json())
    content[place % len(content)] = byte
    try:
        found = read_bundle(bytes(content), "place")
    except DamagedError:
        return
    assert all(not why_no_key(key) and is_carried(key) for key in found.files_and_links)
    assert not any(why_no_link(key, target) for key, target in found.links.items())


def test_the_list_is_the_same_whatever_the_order_of_its_links() -> None:
    one = replace(GOOD, links={"x": "a", "y": "a"})
    other = replace(GOOD, links={"y": "a", "x": "a"})
    assert hashlib.sha256(one.as_json()).digest() == hashlib.sha256(other.as_json()).digest()
