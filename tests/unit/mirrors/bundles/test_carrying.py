"""Small mirrors are exported and imported, for real files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError, NotReadyError, NotThereError, RefusedError
from job_creator.mirrors.bundles import SMALLEST_PART, exports
from job_creator.mirrors.bundles.bundle import LIST
from job_creator.mirrors.bundles.folder import look
from tests.unit.mirrors.bundles.samples import (
    INDEX,
    MANIFEST,
    archive,
    blob,
    content,
    export,
    fill,
    import_,
    nothing,
    small,
)


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_what_arrives_is_what_was_sent_byte_for_byte(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    bundle = export(sent, tmp_path / "bundle")
    assert len(bundle.parts) == 4
    assert {path.stat().st_size <= SMALLEST_PART for path in (tmp_path / "bundle").glob("*.tar")} == {True}
    plan = import_(tmp_path / "bundle", tmp_path / "arrived")
    assert len(plan.files) == 8
    assert content(tmp_path / "arrived") == content(sent)
    assert import_(tmp_path / "bundle", tmp_path / "arrived").files == ()


names = st.text("ab", min_size=1, max_size=2)
some_files = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), max_size=6
).map(
    lambda files: {key: text for key, text in files.items() if not any(other.startswith(f"{key}/") for other in files)}
)
some_blobs = st.lists(st.binary(max_size=300), max_size=4).map(lambda contents: {blob(one): one for one in contents})
large = st.integers(0, 3).map(
    lambda number: {archive(text): text for text in [bytes([number]) * (SMALLEST_PART * number)]}
)
mirrors = st.tuples(some_files, some_blobs, large).map(lambda kinds: {**kinds[0], **kinds[1], **kinds[2]})


@given(mirrors, mirrors)
def test_a_second_bundle_holds_only_what_was_added_or_changed(
    before: dict[str, bytes], added: dict[str, bytes]
) -> None:
    clash = {
        key for key in added if any(other.startswith(f"{key}/") or key.startswith(f"{other}/") for other in before)
    }
    added = {key: value for key, value in added.items() if key not in clash}
    with scratch() as tmp:
        sent = fill(tmp / "sent", before)
        export(sent, tmp / "one")
        fill(sent, added)
        bundle = export(sent, tmp / "two", since=tmp / "one")
        assert {file.key for file in bundle.held} == {key for key, value in added.items() if before.get(key) != value}
        if before and any(file.key in before for file in bundle.earlier):
            with pytest.raises(NotReadyError, match="import the earlier bundles first"):
                import_(tmp / "two", tmp / "arrived")
        assert not (tmp / "arrived").exists()
        import_(tmp / "one", tmp / "arrived")
        import_(tmp / "two", tmp / "arrived")
        assert content(tmp / "arrived") == content(sent)


@given(mirrors)
def test_the_same_mirror_gives_the_same_bundle_byte_for_byte(files: dict[str, bytes]) -> None:
    with scratch() as tmp:
        fill(tmp / "one", files)
        backwards = fill(tmp / "other", dict(reversed(files.items())))
        for path in backwards.rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(0o700)
        export(tmp / "one", tmp / "a")
        export(backwards, tmp / "b")
        assert content(tmp / "a") == content(tmp / "b")


@given(st.data())
def test_one_changed_or_missing_byte_of_a_part_is_refused_before_anything_is_written(data: st.DataObject) -> None:
    with scratch() as tmp:
        export(small(tmp / "sent"), tmp / "bundle")
        part = tmp / "bundle" / data.draw(st.sampled_from([f"part-000{number}.tar" for number in (1, 2, 3, 4)]))
        original = bytearray(part.read_bytes())
        place = data.draw(st.integers(0, len(original) - 1))
        if data.draw(st.booleans()):
            original[place] ^= data.draw(st.integers(1, 255))
        else:
            del original[place:]
        part.write_bytes(original)
        with pytest.raises(DamagedError, match=part.name):
            import_(tmp / "bundle", tmp / "arrived")
        assert not (tmp / "arrived").exists()


def test_a_part_that_is_missing_is_refused(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    (tmp_path / "bundle/part-0002.tar").unlink()
    with pytest.raises(DamagedError, match=r"part-0002.tar: is missing"):
        import_(tmp_path / "bundle", tmp_path / "arrived")
    assert not (tmp_path / "arrived").exists()


def test_a_list_whose_checksums_are_not_those_of_the_content_is_refused(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    place = tmp_path / "bundle" / LIST
    wrong = hashlib.sha256(b"other").hexdigest()
    place.write_text(place.read_text().replace(hashlib.sha256(b"manifest").hexdigest(), wrong))
    with pytest.raises(DamagedError, match=r"zlib-1-abc\.spec\.manifest\.json is not what the list says"):
        import_(tmp_path / "bundle", tmp_path / "arrived")
    assert not (tmp_path / "arrived").exists()


def test_tar_unpacks_the_parts_too(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    bundle = export(sent, tmp_path / "bundle", most=10**6)
    assert [part.name for part in bundle.parts] == ["part-0001.tar"]
    subprocess.run(["tar", "-xf", "../bundle/part-0001.tar"], cwd=fill(tmp_path / "by hand", {}), check=True)
    files = {key: found for key, found in content(sent).items() if isinstance(found, bytes)}
    assert content(tmp_path / "by hand") == files


def test_what_is_unfinished_is_not_taken_along(tmp_path: Path) -> None:
    unfinished = {
        ".spacktainers/staging/download-1": b"half",
        ".spackitor/quarantine/1/v3/manifests/spec/zlib.spec.manifest.json": b"gone",
        "blobs/sha256/00/.spackitor-x1": b"half",
    }
    sent = fill(tmp_path / "sent", {**unfinished, "a": b"1"})
    assert [file.key for file in export(sent, tmp_path / "bundle").files] == ["a"]
    import_(tmp_path / "bundle", tmp_path / "arrived")
    assert content(tmp_path / "arrived") == {"a": b"1"}


def test_an_index_that_cannot_be_read_is_replaced_and_a_blob_never(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    arrived = fill(tmp_path / "arrived", {INDEX: b"index 0", "other": b"stays"})
    assert [merge.key for merge in import_(tmp_path / "bundle", arrived).merges] == [INDEX]
    assert (arrived / INDEX).read_bytes() == b"index 1"
    assert (arrived / "other").read_bytes() == b"stays"
    for wrong in (b"TARBALL", b"short"):
        (arrived / blob(b"tarball")).write_bytes(wrong)
        (arrived / INDEX).write_bytes(b"index 0")
        with pytest.raises(DamagedError, match=blob(b"tarball")):
            import_(tmp_path / "bundle", arrived)
        assert (arrived / INDEX).read_bytes() == b"index 0"


def test_what_a_second_bundle_builds_on_is_held_against_its_list(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    export(sent, tmp_path / "one")
    fill(sent, {"added": b"x"})
    export(sent, tmp_path / "two", since=tmp_path / "one")
    arrived = tmp_path / "arrived"
    import_(tmp_path / "one", arrived)

    (arrived / MANIFEST).write_bytes(b"MANIFEST")
    with pytest.raises(DamagedError, match="zlib-1-abc"):
        import_(tmp_path / "two", arrived)
    fill(arrived, {MANIFEST: b"manifest", blob(b"tarball"): b"TARBALL"})
    with pytest.raises(DamagedError, match=blob(b"tarball")):
        import_(tmp_path / "two", arrived, deep=True)
    (arrived / blob(b"tarball")).unlink()
    with pytest.raises(NotReadyError, match=blob(b"tarball")):
        import_(tmp_path / "two", arrived)
    assert not (arrived / "added").exists()
    fill(arrived, {blob(b"tarball"): b"tarball"})
    assert [file.key for file in import_(tmp_path / "two", arrived).files] == ["added"]


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    outside = fill(tmp_path / "outside", {})
    for link in ("blobs", "v3/manifests", ".spacktainers", "recipes/spack.git/refs"):
        arrived = fill(tmp_path / link.replace("/", "-"), {}, {link: str(outside)})
        with pytest.raises(RefusedError, match="links are not followed"):
            import_(tmp_path / "bundle", arrived)
    assert content(outside) == {}
    # A link in the place of a file gives way to the file.
    target = fill(outside, {"target": b"old"}) / "target"
    arrived = fill(tmp_path / "last", {}, {INDEX: str(target)})
    import_(tmp_path / "bundle", arrived)
    assert target.read_bytes() == b"old"
    assert not (arrived / INDEX).is_symlink()


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    arrived = tmp_path / "arrived"
    (arrived / INDEX).mkdir(parents=True)
    with pytest.raises(RefusedError, match="is a folder"):
        import_(tmp_path / "bundle", arrived)


def test_what_no_bundle_can_carry_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="leads out of the mirror"):
        look(fill(tmp_path / "link", {}, {"a": "/etc/passwd"}))
    os.mkfifo(fill(tmp_path / "pipe", {}) / "pipe")
    with pytest.raises(RefusedError, match="neither file, folder nor link"):
        look(tmp_path / "pipe")
    with pytest.raises(RefusedError, match="control characters"):
        look(fill(tmp_path / "name", {"a\nb": b""}))
    with pytest.raises(NotThereError):
        look(tmp_path / "nowhere")


def test_a_damaged_mirror_is_not_exported(tmp_path: Path) -> None:
    sent = fill(tmp_path / "sent", {blob(b"right"): b"wrong"})
    with pytest.raises(DamagedError, match="is not what its name says"):
        export(sent, tmp_path / "bundle")
    large = bytes(2 * SMALLEST_PART)
    sent = fill(tmp_path / "large", {archive(large): large[:-1] + b"x"})
    with pytest.raises(DamagedError, match="is not what its name says"):
        export(sent, tmp_path / "bundle")
    assert not (tmp_path / "bundle" / LIST).exists()


@pytest.mark.parametrize("what", ["added", "changed", "removed", "shorter"])
def test_a_mirror_that_changes_meanwhile_gives_no_bundle(what: str, tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    plan = exports.make_plan(sent, look(sent), SMALLEST_PART, None, nothing)
    match what:
        case "added":
            fill(sent, {"late": b""})
        case "changed":
            fill(sent, {MANIFEST: b"MANIFEST"})
        case "removed":
            (sent / MANIFEST).unlink()
        case "shorter":
            fill(sent, {MANIFEST: b""})
    with pytest.raises(NotReadyError, match="changed while it was read"):
        exports.export(plan, tmp_path / "bundle", None, nothing)
    assert not (tmp_path / "bundle" / LIST).exists()
    with pytest.raises(NotThereError, match="was not completed"):
        import_(tmp_path / "bundle", tmp_path / "arrived")


def test_a_bundle_is_neither_overwritten_nor_put_into_the_mirror(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    export(sent, tmp_path / "bundle")
    with pytest.raises(RefusedError, match="there is a bundle already"):
        export(sent, tmp_path / "bundle")
    with pytest.raises(RefusedError, match="lies in the mirror itself"):
        export(sent, sent / "bundle")


def test_what_a_run_that_was_ended_left_is_used_if_it_is_right(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    export(sent, tmp_path / "whole")
    out = tmp_path / "bundle"
    export(sent, out)
    (out / LIST).unlink()
    first, second = out / "part-0001.tar", out / "part-0002.tar"
    fill(out, {"part-0009.tar": b"stale", "part-0003.tar.partial": b"half"})
    second.write_bytes(bytes(len(second.read_bytes())))
    os.utime(first, (1, 1))
    export(sent, out)
    assert content(out) == content(tmp_path / "whole")
    assert first.stat().st_mtime == 1


def test_files_and_folders_belong_to_the_group_that_shares_the_mirror(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    arrived = fill(tmp_path / "arrived", {"empty": b""})
    (arrived / "empty").chmod(0o600)
    # Any group that this user may give files to; another than the one that new files get, if there is one.
    group = os.getgroups()[-1] if os.getgroups() else os.getgid()
    previous = os.umask(0o077)
    try:
        import_(tmp_path / "bundle", arrived, group=group)
    finally:
        os.umask(previous)
    for path in (arrived, *arrived.rglob("*")):
        status = path.lstat()
        assert status.st_gid == group
        if not path.is_symlink():
            assert status.st_mode & 0o7777 == (0o2775 if path.is_dir() else 0o664), path


def test_without_a_group_everything_takes_after_the_folder_that_it_is_in(tmp_path: Path) -> None:
    export(small(tmp_path / "sent"), tmp_path / "bundle")
    arrived = fill(tmp_path / "arrived", {})
    arrived.chmod(0o2770)
    import_(tmp_path / "bundle", arrived)
    assert (arrived / INDEX).stat().st_mode & 0o7777 == 0o660
    assert (arrived / INDEX).parent.stat().st_mode & 0o7777 == 0o2770
