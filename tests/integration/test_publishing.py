"""SIF files published, installed and cleaned up against a real server, and everything that can go wrong on the way."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from foundation.errors import ExitCode
from foundation.stores import s3_parts
from foundation.stores.bucket import S3Store
from foundation.stores.s3_client import S3Location
from job_creator.publishing import cleanup, publication
from job_creator.publishing.clusters import installation
from job_creator.publishing.clusters.folder_place import FolderPlace
from job_creator.publishing.places import BucketPlace
from job_creator.publishing.record import PublicationRecord
from job_creator.site.places import Retention
from tests.integration.effects import Killed, effects
from tests.integration.published import (
    DIGEST,
    NOW,
    PART,
    PREFIX,
    RELEASE,
    World,
    branch,
    content_at,
    content_of,
    days_ago,
    days_ago_seconds,
    sha256,
    sif,
    succeeded,
)
from tests.integration.published import world_fixture as world_fixture
from tests.integration.s3_server import KEYS, Answer, Fault, failing_proxy
from tests.integration.s3_server import s3_environment_fixture as s3_environment_fixture
from tests.integration.s3_server import s3_url_fixture as s3_url_fixture
from tests.samples import REPOSITORY

# --- publish -----------------------------------------------------------------------------------------------------


def test_a_file_of_several_parts_is_published_with_its_record(world: World) -> None:
    content, before = content_of(2 * PART + 3), datetime.now(UTC).replace(microsecond=0)
    succeeded(world.publish(content, RELEASE, "--image-digest", DIGEST))
    stored, record = world.stored()
    assert stored == content
    expected = replace(RELEASE, image_digest=DIGEST, sha256=sha256(content), size=len(sif(content)))
    assert record is not None
    assert replace(record, published="", etags="") == expected
    assert record.published_at is not None
    assert before <= record.published_at <= datetime.now(UTC)
    assert world.keys() == {"neuron__9.0.sif"}
    assert not world.unfinished()


def test_d58_what_is_published_already_is_not_sent_again(world: World) -> None:
    succeeded(world.publish(b"content", RELEASE, "--image-digest", DIGEST))
    with effects(world.path) as seen:
        result = succeeded(world.publish(b"other bytes, same fingerprint", RELEASE, "--image-digest", DIGEST))
    assert "published and up to date" in result.output
    assert not [effect for effect in seen.seen if effect.startswith(("PUT", "POST", "DELETE"))]
    assert world.stored()[0] == b"content"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"container_checksum": "b" * 64}, "container_checksum is aaaaaaaaaaaa, not bbbbbbbbbbbb"),
        ({"image_digest": DIGEST}, f"image_digest is , not {DIGEST}"),
        ({"ref": "refs/heads/other"}, "ref is refs/heads/main, not refs/heads/other"),
        ({"is_release": False}, "is_release is true, not false"),
    ],
)
def test_what_differs_is_published_anew(world: World, changed: dict[str, Any], reason: str) -> None:
    succeeded(world.publish(b"old"))
    record = replace(RELEASE, **changed)
    assert reason in succeeded(world.publish(b"new", record)).output
    stored, read = world.stored()
    assert stored == b"new"
    assert read is not None
    assert replace(read, sha256="", size=0, published="", etags="") == record


def test_an_object_that_lost_its_end_is_published_anew(world: World) -> None:
    succeeded(world.publish(b"content"))
    record = world.stored()[1]
    assert record is not None
    world.client.put_object(
        Bucket=world.bucket, Key=f"{PREFIX}/neuron__9.0.sif", Body=b"con", Metadata=record.to_metadata()
    )
    assert "has 3 bytes, not 49" in succeeded(world.publish(b"content")).output
    assert world.stored()[0] == b"content"


def test_a_copy_in_parts_keeps_the_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What S3 wants above 5 GB, done to a smaller file."""
    monkeypatch.setattr(s3_parts, "COPY_LIMIT", PART)
    content = content_of(2 * PART + 3)
    with effects(world.path) as seen:
        succeeded(world.publish(content))
    assert sum("partNumber" in effect for effect in seen.seen) == 6, "three parts sent, three copied"
    stored, record = world.stored()
    assert (stored, record and record.sha256) == (content, sha256(content))


def test_what_is_not_ours_is_not_replaced(world: World) -> None:
    world.client.put_object(Bucket=world.bucket, Key=f"{PREFIX}/neuron__9.0.sif", Body=b"of someone else's")
    result = world.publish(b"content")
    assert result.exit_code == ExitCode.REFUSED
    assert "move it away" in result.output
    assert world.keys() == {"neuron__9.0.sif"}


def test_a_dry_run_changes_nothing(world: World) -> None:
    for tag, age in (("7.0", 90), ("8.0", 60)):
        world.put(f"neuron__{tag}.sif", replace(RELEASE, tag=tag, published=days_ago(age)))
    before = world.keys()
    result = succeeded(world.publish(b"content", RELEASE, "--keep", "2", "--older-than", "30", "--dry-run"))
    assert f"upload to {world.root}/neuron__9.0.sif: not published yet" in result.output
    assert f"remove {world.root}/neuron__7.0.sif" in result.output
    assert "8.0" not in result.output
    assert world.keys() == before


def test_d55_old_versions_go_by_record_and_a_branch_takes_no_release_with_it(world: World) -> None:
    old = {
        "neuron__7.0.sif": replace(RELEASE, tag="7.0", published=days_ago(90)),
        "neuron__8.0.sif": replace(RELEASE, tag="8.0", published=days_ago(60)),
        "neuron__8.0__x.sif": replace(branch("x", "8.0__x"), published=days_ago(90)),
        "neuron__8.0-arm64.sif": replace(RELEASE, tag="8.0-arm64", architecture="arm64", published=days_ago(90)),
        "neuron__kept-by-hand.sif": replace(RELEASE, tag="6.0", published=days_ago(90)),
    }
    for name, record in old.items():
        world.put(name, record)
    world.client.put_object(Bucket=world.bucket, Key=f"{PREFIX}/neuron__0.1.sif", Body=b"without a record")
    succeeded(world.publish(b"branch", branch("x", "9.0__x"), "--keep", "1", "--older-than", "30"))
    assert world.keys() == {*old, "neuron__0.1.sif", "neuron__9.0__x.sif"} - {"neuron__8.0__x.sif"}
    succeeded(world.publish(b"release", RELEASE, "--keep", "2", "--older-than", "30"))
    assert not world.has("neuron__7.0.sif")
    assert {*old} - {"neuron__7.0.sif", "neuron__8.0__x.sif"} < world.keys()


def test_left_overs_go_after_a_day(world: World) -> None:
    key = f"{PREFIX}/{publication.UPLOADS}/neuron__9.0.sif.0123"
    world.client.put_object(Bucket=world.bucket, Key=key, Body=b"half")
    world.client.create_multipart_upload(Bucket=world.bucket, Key=f"{key}4")
    world.client.create_multipart_upload(Bucket=world.bucket, Key=f"{PREFIX}/neuron__9.0.sif")
    other = world.client.create_multipart_upload(Bucket=world.bucket, Key="another/prefix/file")["UploadId"]

    def begun_now(*_: object) -> Answer:
        # moto says of every upload that it was begun in 2010.
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()
        return Answer(change=lambda content: content.replace(b"2010-11-10T20:48:33.000Z", now))

    with failing_proxy(world.url, begun_now) as url:
        succeeded(world.publish(b"content", url=url))
    assert (len(world.keys()), len(world.unfinished())) == (2, 3)

    def long_ago(*_: object) -> Answer:
        written = rb"(?<=<LastModified>)[^<]+"
        return Answer(change=lambda content: re.sub(written, b"2010-11-10T20:48:33.000Z", content))

    with failing_proxy(world.url, long_ago) as url:
        succeeded(world.publish(b"content", url=url))
    assert world.keys() == {"neuron__9.0.sif"}
    assert [upload["UploadId"] for upload in world.unfinished()] == [other]


def test_a_server_that_lists_no_uploads_can_still_be_published_to(world: World) -> None:
    def refuse(method: str, path: str, _: dict[str, str]) -> Answer | None:
        return Answer(501) if method == "GET" and "uploads" in path else None

    with failing_proxy(world.url, refuse) as url:
        assert "unfinished uploads stay" in succeeded(world.publish(b"content", url=url)).output
    assert world.stored()[0] == b"content"


def test_the_result_as_json(world: World) -> None:
    value = json.loads(succeeded(world.publish(b"content", RELEASE, "--json")).stdout)
    assert value["action"] == "upload"
    assert value["record"]["sha256"] == sha256(b"content")
    value = json.loads(succeeded(world.publish(b"content", RELEASE, "--json", "--dry-run")).stdout)
    assert (value["action"], value["record"]["sha256"]) == ("leave", sha256(b"content"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--keep", "1"], "both --keep and --older-than"),
        (["--image-digest", "latest"], "'image_digest' cannot be 'latest'"),
    ],
)
def test_wrong_options_are_said(world: World, more: list[str], message: str) -> None:
    result = world.publish(b"content", RELEASE, *more)
    assert result.exit_code in (ExitCode.USAGE, ExitCode.INVALID_INPUT)
    assert message in result.output
    assert not world.keys()


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_d59_a_server_that_does_not_answer_never_reads_as_not_published(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with failing_proxy(world.url, lambda method, *_: Answer(status) if method == "HEAD" else None) as url:
        result = world.publish(b"content", url=url)
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert f"{world.root}/neuron__9.0.sif: S3 says {status}" in result.output
    assert not world.keys()


def test_a_server_that_is_busy_for_a_moment_is_asked_again(world: World) -> None:
    content = content_of(PART + 1)
    with failing_proxy(world.url, first(lambda method, path: "partNumber=2" in path, Answer(503))) as url:
        succeeded(world.publish(content, url=url))
    assert world.stored()[0] == content


def test_a_network_that_breaks_while_sending_leaves_the_old_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    succeeded(world.publish(b"old"))
    with failing_proxy(world.url, from_then_on(lambda _, path: "partNumber=2" in path, Answer(hang_up=True))) as url:
        result = world.publish(content_of(PART + 1), replace(RELEASE, container_checksum="b" * 64), url=url)
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert world.stored()[0] == b"old"
    assert world.keys() == {"neuron__9.0.sif"}


def test_an_upload_that_fails_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with failing_proxy(world.url, lambda _, path, __: Answer(500) if "partNumber=2" in path else None) as url:
        assert world.publish(content_of(PART + 1), url=url).exit_code == ExitCode.COULD_NOT_ASK
    assert not world.unfinished()


def test_what_was_damaged_on_the_way_is_not_published(world: World) -> None:
    succeeded(world.publish(b"old"))

    def damage(_: str, path: str, __: dict[str, str]) -> Answer | None:
        return Answer(change_request=lambda body: body[::-1]) if "partNumber=1" in path else None

    with failing_proxy(world.url, damage) as url:
        result = world.publish(b"content", replace(RELEASE, container_checksum="b" * 64), url=url)
    assert result.exit_code == ExitCode.DAMAGED
    assert world.stored()[0] == b"old"


def test_a_server_whose_etags_are_no_checksums_is_read_back(world: World) -> None:
    """As with encryption by keys of the server's."""

    def other_etag(method: str, _: str, __: dict[str, str]) -> Answer | None:
        return Answer(headers={"ETag": '"00000000000000000000000000000000"'}) if method == "HEAD" else None

    def no_condition(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        # The proxy's ETag is unknown to the server behind it.
        return other_etag(method, path, headers) or Answer(without=("If-Match", "x-amz-copy-source-if-match"))

    with failing_proxy(world.url, no_condition) as url:
        assert "reading it back" in succeeded(world.publish(b"content", url=url)).output
    assert world.stored()[0] == b"content"


def test_a_server_that_gives_copies_other_etags_has_both_on_record(world: World) -> None:
    """As Amazon does: the MD5 of the whole."""
    for record in (RELEASE, replace(RELEASE, tag="10.0")):
        assert "reading it back" not in succeeded(world.publish(content_of(2 * PART), record)).output
        found = world.stored(record)[1]
        assert found is not None
        assert [len(etag.partition("-")[0]) for etag in found.etags.split()] == [32, 32]


def test_objects_that_the_server_does_not_remove_are_an_error(world: World) -> None:
    """D85: an answer of 200 can hold refusals."""
    world.put("neuron__8.0.sif", replace(RELEASE, tag="8.0", published=days_ago(60)))
    key = f"{PREFIX}/neuron__8.0.sif"
    refusal = f"<DeleteResult><Error><Key>{key}</Key><Code>AccessDenied</Code></Error></DeleteResult>".encode()

    def refuse(method: str, path: str, _: dict[str, str]) -> Answer | None:
        return Answer(200, content=refusal) if method == "POST" and "?delete" in path else None

    succeeded(world.publish(b"content"))
    with failing_proxy(world.url, refuse) as url:
        result = world.publish(b"content", RELEASE, "--keep", "1", "--older-than", "30", url=url)
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert f"refuses to remove 1 of 5 objects: s3://{world.bucket}/{key}: AccessDenied" in result.output


def test_what_was_published_anew_since_the_plan_is_not_removed(world: World) -> None:
    old, name = replace(RELEASE, tag="8.0", published=days_ago(60)), "neuron__8.0.sif"
    world.put(name, old)

    def meanwhile(method: str, path: str, _: dict[str, str]) -> Answer | None:
        if method == "POST" and "uploadId" in path:
            world.put(name, replace(old, published=days_ago(0)), b"new")
        return None

    with failing_proxy(world.url, meanwhile) as url:
        result = succeeded(world.publish(b"content", RELEASE, "--keep", "1", "--older-than", "30", url=url))
    assert "stays, it was replaced meanwhile" in result.output
    assert world.has(name)


def test_publishing_can_be_killed_between_any_two_effects(world: World) -> None:
    store = S3Store(S3Location(world.bucket, PREFIX), world.url)
    old_version, new = "neuron__8.0.sif", replace(RELEASE, container_checksum="b" * 64)
    contents = {"a" * 64: content_of(PART + 1, 1), "b" * 64: content_of(PART + 1, 2)}
    file = world.path / "file.sif"
    file.write_bytes(sif(contents[new.container_checksum]))

    def prepare() -> None:
        world.put(old_version, replace(RELEASE, tag="8.0", published=days_ago(60)))
        world.put(RELEASE.file_name, replace(RELEASE, published=days_ago(1)), contents[RELEASE.container_checksum])

    def run() -> None:
        plan = publication.make_plan(store, new, Retention(keep=1, older_than_days=30), NOW)
        publication.publish(store, plan, file, lambda _: None, NOW)

    prepare()
    with effects(world.path) as seen:
        run()
    assert len(seen.seen) == 7, "begin, two parts, complete, copy, remove the temporary object and the old version"
    for number in range(len(seen.seen)):
        prepare()
        with effects(world.path, number), pytest.raises(Killed):
            run()
        stored, record = world.stored()
        assert record is not None
        assert (stored, record.sha256) == (contents[record.container_checksum], sha256(stored)), "old or new, and whole"
        run()
        assert world.stored()[0] == contents[new.container_checksum]
        assert not world.has(old_version)


# --- install -----------------------------------------------------------------------------------------------------


def test_a_release_is_installed_with_links_and_a_marker(world: World) -> None:
    content = content_of(2 * PART + 3)
    succeeded(world.publish(content))
    result = succeeded(world.install(RELEASE, "--cluster", "big"))
    folder = world.cluster / "neuron"
    file = f"neuron__9.0.{sha256(content)[:12]}.sif"
    assert {path.name for path in folder.iterdir()} == {
        file,
        f"{file}.json",
        "neuron__9.0.sif",
        "current",
        ".current.json",
    }
    assert world.link() == world.link("current") == content
    assert str((folder / "current").readlink()) == file
    assert PublicationRecord.from_json((folder / f"{file}.json").read_bytes(), file) == world.stored()[1]
    assert "links to it: current, neuron__9.0.sif" in result.output
    marker = world.client.head_object(Bucket=world.bucket, Key=f"{PREFIX}/installed/big/neuron__9.0.sif")
    assert (marker["ContentLength"], PublicationRecord.from_metadata(marker["Metadata"])) == (0, world.stored()[1])


def test_without_keys_what_everyone_may_read_is_installed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(_method: str, _path: str, headers: dict[str, str]) -> None:
        seen.append(headers.get("Authorization", ""))

    succeeded(world.publish(b"content"))
    world.client.put_object_acl(Bucket=world.bucket, Key=f"{PREFIX}/{RELEASE.file_name}", ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with failing_proxy(world.url, note) as url:
        succeeded(world.install(url=url))
    assert world.link() == b"content"
    assert set(seen) == {""}


def test_what_is_installed_already_is_not_downloaded_again(world: World) -> None:
    succeeded(world.publish(b"content"))
    succeeded(world.install())
    (world.cluster / "neuron" / "current").unlink()
    with effects(world.path, reads=True) as seen:
        result = succeeded(world.install())
    assert "installed already" in result.output
    assert not [effect for effect in seen.seen if effect.startswith("GET") and "neuron__9.0.sif" in effect]
    assert world.link("current") == b"content", "links are set anew"


def test_damage_is_found_and_mended(world: World) -> None:
    succeeded(world.publish(b"content"))
    succeeded(world.install())
    file = (world.cluster / "neuron" / "current").resolve()
    file.write_bytes(sif(b"CONTENT"))
    assert "installed already" in succeeded(world.install()).output
    assert "another sha256" in succeeded(world.install(RELEASE, "--verify")).output
    assert world.link() == b"content"
    file.write_bytes(b"con")
    assert "is damaged" in succeeded(world.install()).output
    assert world.link() == b"content"


def test_a_branch_does_not_move_current(world: World) -> None:
    succeeded(world.publish(b"release"))
    succeeded(world.install())
    other = branch("Feature/X_y", "9.0__feature-x-y")
    succeeded(world.publish(b"branch", other))
    succeeded(world.install(other))
    assert world.link("current") == b"release"
    assert world.link(other.file_name) == b"branch"


def test_previous_files_stay_for_running_jobs_and_linked_ones_for_ever(world: World) -> None:
    for number in range(5):
        record = replace(RELEASE, container_checksum=str(number) * 64, published=days_ago(10 - number))
        world.put(RELEASE.file_name, record, f"build {number}".encode())
        result = succeeded(world.install(RELEASE, "--keep", "2", "--keep-days", "0"))
        assert ("remove" in result.output) == (number == 4), "build 1; build 0 is linked, and not in the plan either"
        if number == 0:
            (world.cluster / "neuron" / "stable").symlink_to((world.cluster / "neuron" / "current").readlink())
    left = {content_at(path) for path in (world.cluster / "neuron").glob("*.sif") if not path.is_symlink()}
    assert left == {b"build 4", b"build 3", b"build 2", b"build 0"}
    assert len(list((world.cluster / "neuron").glob("*.sif.json"))) == 4
    assert world.link() == b"build 4"


def test_current_follows_the_default_branch_and_not_the_last_download(world: World) -> None:
    """A retried job of an old pipeline moved it back, and going back to an older version did not move it."""
    older, newer = replace(RELEASE, pipeline=10), replace(RELEASE, version="9.1", tag="9.1", pipeline=20)
    for record in (older, newer):
        succeeded(world.publish(record.tag.encode(), record))
        succeeded(world.install(record, "--cluster", "big", "--pipeline", str(record.pipeline)))
    assert world.link("current") == b"9.1"
    result = succeeded(world.install(older, "--cluster", "big", "--pipeline", "10"))
    assert "current stays at neuron__9.1." in result.output
    assert "which pipeline 20 wants there" in result.output
    assert world.link("current") == b"9.1", "a job of an old pipeline that is run again"
    assert world.marked("big", "neuron.current") == newer.tag
    succeeded(world.install(older))
    assert world.link("current") == b"9.1", "by hand it counts as of the pipeline that published it"
    succeeded(world.install(older, "--cluster", "big", "--pipeline", "30"))
    assert world.link("current") == b"9.0", "the default branch went back"
    assert world.marked("big", "neuron.current") == older.tag
    succeeded(world.install(newer, "--pipeline", "20"))
    assert world.link("current") == b"9.0"
    succeeded(world.install(newer, "--pipeline", "30"))
    assert world.link("current") == b"9.1", "the same pipeline may say it again"


def test_a_link_alone_says_what_is_current_too(world: World) -> None:
    """Where its note was lost, an old job that is run again would have moved it back."""
    older, newer = replace(RELEASE, pipeline=10), replace(RELEASE, version="9.1", tag="9.1", pipeline=20)
    for record in (older, newer):
        succeeded(world.publish(record.tag.encode(), record))
        succeeded(world.install(record, "--pipeline", str(record.pipeline)))
    (world.cluster / "neuron" / ".current.json").unlink()
    assert "which pipeline 20 wants there" in succeeded(world.install(older, "--pipeline", "10")).output
    assert world.link("current") == b"9.1"
    succeeded(world.install(older, "--pipeline", "21"))
    assert world.link("current") == b"9.0"


def test_a_newer_pipeline_that_ends_while_an_older_one_downloads_has_the_last_word(world: World) -> None:
    older, newer = replace(RELEASE, pipeline=10), replace(RELEASE, version="9.1", tag="9.1", pipeline=20)
    for record in (older, newer):
        succeeded(world.publish(record.tag.encode(), record))
    folder, asked = world.cluster / "neuron", 0
    succeeded(world.install(newer, "--pipeline", "20"))
    state, link = folder / ".current.json", folder / "current"
    said, target = state.read_text(), link.readlink()
    state.unlink()
    link.unlink()

    def speak(method: str, path: str, _headers: dict[str, str]) -> None:
        """After the plan, which looks at the beginning of the file."""
        nonlocal asked
        asked += method == "GET" and older.file_name in path
        if asked == 2 and not link.exists():
            state.write_text(said)
            link.symlink_to(target)

    with failing_proxy(world.url, speak) as url:
        succeeded(world.install(older, "--pipeline", "10", url=url))
    assert asked >= 2
    assert world.link("current") == b"9.1"
    assert world.link(older.file_name) == b"9.0"


def test_days_are_counted_from_when_the_link_went_and_not_from_before_a_long_download(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0.0, 0.0, 0.0, 7200.0))
    monkeypatch.setattr(installation, "monotonic", lambda: next(times))
    for number in range(2):
        record = replace(RELEASE, container_checksum=str(number) * 64, published=days_ago(3 - number))
        world.put(RELEASE.file_name, record, f"build {number}".encode())
        succeeded(world.install(RELEASE))
    folder = world.cluster / "neuron"
    files = {content_at(path): path for path in folder.glob("*.sif") if not path.is_symlink()}
    left = files[b"build 0"].with_name(f"{files[b'build 0'].name}.json")
    assert left.stat().st_mtime > time.time() + 7000


def test_what_says_what_is_current_is_not_guessed(world: World) -> None:
    succeeded(world.publish(b"content"))
    succeeded(world.install())
    state = world.cluster / "neuron" / ".current.json"
    for text in ("", "[]", '{"pipeline": true, "file": "x"}', '{"pipeline": 1, "file": "../x"}'):
        state.write_text(text)
        result = world.install()
        assert (result.exit_code, "remove it, and run this again" in result.output) == (ExitCode.DAMAGED, True)


def test_a_file_stays_for_days_after_its_last_link_went(world: World) -> None:
    """It counted when a file was published; one that a job started from a minute ago could be removed."""
    folder = world.cluster / "neuron"
    for number in range(3):
        record = replace(RELEASE, container_checksum=str(number) * 64, published=days_ago(400 - number))
        world.put(RELEASE.file_name, record, f"build {number}".encode())
        assert "remove" not in succeeded(world.install(RELEASE, "--keep", "0", "--keep-days", "7")).output
    files = {content_at(path): path for path in folder.glob("*.sif") if not path.is_symlink()}
    assert len(files) == 3
    long_ago = days_ago_seconds(8)
    for content in (b"build 0", b"build 2"):
        os.utime(files[content].with_name(f"{files[content].name}.json"), (long_ago, long_ago))
    result = succeeded(world.install(RELEASE, "--keep", "0", "--keep-days", "7"))
    assert f"remove {files[b'build 0']}" in result.output
    assert {content_at(path) for path in folder.glob("*.sif")} == {b"build 1", b"build 2"}


def test_a_dry_run_installs_nothing(world: World) -> None:
    succeeded(world.publish(b"content"))
    value = json.loads(succeeded(world.install(RELEASE, "--dry-run", "--json", "--cluster", "big")).stdout)
    assert value["action"] == "download"
    assert value["links"] == ["current", "neuron__9.0.sif"]
    assert not world.cluster.exists()
    assert world.keys() == {"neuron__9.0.sif"}


def test_what_is_not_published_cannot_be_installed(world: World) -> None:
    result = world.install()
    assert (result.exit_code, "is not published" in result.output) == (ExitCode.NOT_THERE, True)


def test_an_object_without_a_record_or_of_another_name_is_not_installed(world: World) -> None:
    world.client.put_object(Bucket=world.bucket, Key=f"{PREFIX}/neuron__9.0.sif", Body=b"x")
    assert world.install().exit_code == ExitCode.DAMAGED
    world.put("neuron__9.0.sif", branch("x", "9.0__x"))
    assert world.install().exit_code == ExitCode.DAMAGED
    cut = replace(RELEASE, size=8, sha256=sha256(b"content!")).to_metadata()
    world.client.put_object(Bucket=world.bucket, Key=f"{PREFIX}/neuron__9.0.sif", Body=b"content", Metadata=cut)
    assert world.install().exit_code == ExitCode.DAMAGED
    assert not world.cluster.exists()


def test_a_file_of_the_predecessor_is_not_replaced_by_a_link(world: World) -> None:
    succeeded(world.publish(b"content"))
    (world.cluster / "neuron").mkdir(parents=True)
    (world.cluster / "neuron" / "neuron__9.0.sif").write_bytes(b"of someone else's")
    assert world.install().exit_code == ExitCode.REFUSED
    assert world.link() == b"of someone else's"


def test_a_download_goes_on_where_the_connection_broke(world: World) -> None:
    content = content_of(2 * PART + 3)
    succeeded(world.publish(content))
    ranges: list[str] = []

    def cut_once(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if method != "GET" or "neuron__9.0.sif" not in path:
            return None
        ranges.append(headers["Range"])
        return Answer(cut_after=3 << 20) if headers["Range"] == f"bytes=0-{PART - 1}" else None

    with failing_proxy(world.url, cut_once) as url:
        succeeded(world.install(url=url))
    assert world.link() == content
    assert len(ranges) == 5, "what it begins with, three parts, and one of them again"
    assert f"bytes={3 << 20}-{PART - 1}" in ranges


def test_a_file_that_is_replaced_while_it_is_downloaded_is_noticed_at_once(world: World) -> None:
    world.put(RELEASE.file_name, RELEASE, b"old")

    def replace_it(method: str, path: str, _: dict[str, str]) -> Answer | None:
        if is_content(method, path):
            world.put(RELEASE.file_name, replace(RELEASE, container_checksum="b" * 64), b"new")
        return None

    with failing_proxy(world.url, replace_it) as url:
        result = world.install(url=url)
    assert (result.exit_code, "was replaced while it was being read" in result.output) == (ExitCode.COULD_NOT_ASK, True)
    succeeded(world.install())
    assert world.link() == b"new"


def is_content(method: str, path: str) -> bool:
    return method == "GET" and "neuron__9.0.sif" in path


def changed_at_the_end(content: bytes) -> bytes:
    return content.replace(b"new", b"NEW")


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (Answer(cut_after=0), ExitCode.COULD_NOT_ASK, "neuron__9.0.sif: "),
        (Answer(change=bytes.swapcase), ExitCode.DAMAGED, "is no SIF file; it begins with b'#!/USR"),
        (Answer(change=changed_at_the_end), ExitCode.DAMAGED, "arrived, not 45 with"),
        (Answer(404), ExitCode.NOT_THERE, "was removed while it was being read"),
        (Answer(412), ExitCode.COULD_NOT_ASK, "was replaced while it was being read"),
        (Answer(403), ExitCode.COULD_NOT_ASK, "S3 says 403"),
        (Answer(hang_up=True), ExitCode.COULD_NOT_ASK, "neuron__9.0.sif: "),
    ],
    ids=["cut", "changed", "changed at the end", "removed", "replaced", "forbidden", "no answer"],
)
def test_d56_a_download_that_fails_leaves_what_was_there(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: Answer, code: ExitCode, message: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    world.put_on_cluster(replace(RELEASE, published=days_ago(9)), b"old", "current")
    before = {path.name for path in (world.cluster / "neuron").iterdir()}
    world.put(RELEASE.file_name, replace(RELEASE, container_checksum="b" * 64), b"new")
    with failing_proxy(world.url, lambda method, path, _: answer if is_content(method, path) else None) as url:
        result = world.install(url=url)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert world.link() == world.link("current") == b"old"
    assert {path.name for path in (world.cluster / "neuron").iterdir()} == before
    succeeded(world.install())
    assert world.link() == world.link("current") == b"new"


def test_a_full_disk_leaves_what_was_there(world: World) -> None:
    """A limit on the size of files stands for the disk: both let writing fail half-way."""
    world.put_on_cluster(replace(RELEASE, published=days_ago(9)), b"old", "current")
    world.put(RELEASE.file_name, replace(RELEASE, container_checksum="b" * 64), content_of(3 << 20))
    command = [sys.executable, "-m", "job_creator", "install-sif", f"{world.root}/neuron__9.0.sif"]
    command += ["--to", str(world.cluster), "--endpoint-url", world.url]
    limit = 2 << 20
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **KEYS},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == ExitCode.CANNOT_ACCESS_FILE, done.stderr
    assert "File too large; make room and run this again" in done.stderr
    assert world.link() == world.link("current") == b"old"
    assert not list(world.cluster.rglob(".installing*"))
    succeeded(world.install())
    assert world.link() == content_of(3 << 20)


def test_installing_can_be_killed_between_any_two_effects(world: World) -> None:
    first, second, third = b"first", b"second", content_of(PART + 1)
    root, store = world.path, S3Store(S3Location(world.bucket, PREFIX), world.url)
    world.put(RELEASE.file_name, replace(RELEASE, published=days_ago(0)), third)

    def prepare(name: str) -> None:
        """The first build goes when the third one is installed; the second one is linked."""
        world.path = root / name
        world.path.mkdir()
        world.put_on_cluster(replace(RELEASE, published=days_ago(9)), first, "current")
        world.put_on_cluster(replace(RELEASE, published=days_ago(8)), second, "current")
        world.client.delete_object(Bucket=world.bucket, Key=f"{PREFIX}/installed/big/{RELEASE.file_name}")

    rules = installation.Rules(keep=1, keep_days=0)

    def run() -> None:
        plan = installation.make_plan(store, RELEASE.file_name, world.cluster, rules, NOW, installation.Asked())
        installation.install(store, plan, rules, "big", lambda _: None, NOW)

    prepare("whole")
    with effects(world.cluster, reads=True) as seen:
        run()
    assert len(seen.seen) > 12, "questions, a download of two parts, a record, renames, links, removals, a marker"
    for number in range(len(seen.seen)):
        prepare(str(number))
        with effects(world.cluster, number, reads=True), pytest.raises(Killed):
            run()
        for path in (world.cluster / "neuron").glob("*.sif"):
            assert content_at(path) in (first, second, third), f"{path} is not whole after {seen.seen[:number]}"
            assert path.is_symlink() or path.with_name(f"{path.name}.json").exists(), "nothing is without a record"
        assert world.link() in (second, third)
        assert world.link("current") in (second, third)
        for path in (world.cluster / "neuron").iterdir():
            if not path.is_symlink():
                os.utime(path, (0, 0))
        run()
        assert world.link() == world.link("current") == third
        left = [path for path in (world.cluster / "neuron").iterdir() if not path.is_symlink()]
        assert len(left) == 5, "the new file and the previous one, each with its record, and what is current"
        assert world.has(f"installed/big/{RELEASE.file_name}")


# --- clean -------------------------------------------------------------------------------------------------------

BRANCHES = {
    "neuron__9.0__my-branch.sif": branch("my-branch", "9.0__my-branch"),
    "neuron__9.0__heeren-opensourcing.sif": branch("heeren/Open_sourcing", "9.0__heeren-opensourcing"),
    "neuron__9.0__my-branch-arm64.sif": replace(branch("my-branch", "9.0__my-branch-arm64"), architecture="arm64"),
    "nexus-storage__latest__amd64.sif": replace(RELEASE, container="nexus-storage", tag="latest__amd64"),
    "neuron__9.0.sif": RELEASE,
}


def fill(world: World) -> None:
    for name, record in BRANCHES.items():
        world.put(name, record, name.encode())
        world.put(f"installed/big/{name}", record, b"")
        world.put_on_cluster(record, name.encode(), *(["current"] if record.is_release else []))
    world.client.put_object(Bucket=world.bucket, Key=f"{PREFIX}/neuron__9.0__gone.sif", Body=b"without a record")


def on_cluster(world: World) -> set[str]:
    return {path.name for path in world.cluster.glob("*/*") if path.is_symlink()}


def test_d51_to_d54_nothing_of_a_live_branch_or_of_the_default_branch_goes(world: World) -> None:
    fill(world)
    before, installed = world.keys(), on_cluster(world)
    result = succeeded(world.clean(live=("my-branch", "heeren/Open_sourcing")))
    assert "0 of" in result.output
    assert (world.keys(), on_cluster(world)) == (before, installed)


def test_what_a_deleted_branch_left_goes_from_bucket_and_cluster(world: World) -> None:
    fill(world)
    before, installed = world.keys(), on_cluster(world)
    result = succeeded(world.clean("--dry-run", live=("heeren/Open_sourcing",)))
    assert (world.keys(), on_cluster(world)) == (before, installed)
    assert f"remove {world.root}/neuron__9.0__my-branch.sif (68 B): refs/heads/my-branch is gone" in result.output
    assert f"remove {world.root}/installed/big/neuron__9.0__my-branch.sif (marker) (0 B)" in result.output
    gone = {"neuron__9.0__my-branch.sif", "neuron__9.0__my-branch-arm64.sif"}
    succeeded(world.clean("--keep-days", "0", live=("heeren/Open_sourcing",)))
    assert world.keys() == before - gone - {f"installed/big/{name}" for name in gone}
    assert on_cluster(world) == installed - gone
    assert not [path for path in world.cluster.rglob("*my-branch*") if "opensourcing" not in path.name]
    assert "0 of" in succeeded(world.clean(live=("heeren/Open_sourcing",))).output


def test_on_a_cluster_links_go_at_once_and_files_when_no_job_can_run_from_them(world: World) -> None:
    fill(world)
    before = {path for path in world.cluster.rglob("*.sif") if not path.is_symlink()}
    result = succeeded(world.clean(live=("heeren/Open_sourcing",)))
    assert "(its links; jobs may run from the file)" in result.output
    assert not any("my-branch" in name for name in on_cluster(world))
    assert {path for path in world.cluster.rglob("*.sif") if not path.is_symlink()} == before
    assert "0 of" in succeeded(world.clean(live=("heeren/Open_sourcing",))).output
    long_ago = days_ago_seconds(31)
    for record in world.cluster.rglob("*my-branch*.json"):
        os.utime(record, (long_ago, long_ago))
    succeeded(world.clean(live=("heeren/Open_sourcing",)))
    assert not list(world.cluster.rglob("*my-branch*"))


def test_the_plan_as_json(world: World) -> None:
    fill(world)
    value = json.loads(succeeded(world.clean("--json", "--dry-run", live=("my-branch",))).stdout)
    assert [(one["ref"], one["bytes"], one["marker"], one["links_only"]) for one in value["removals"]] == [
        ("refs/heads/heeren/Open_sourcing", 78, False, False),
        ("refs/heads/heeren/Open_sourcing", 0, True, False),
        ("refs/heads/heeren/Open_sourcing", 0, False, True),
    ]


def test_a_file_that_somebody_linked_stays(world: World) -> None:
    fill(world)
    folder = world.cluster / "neuron"
    (folder / "for-the-paper").symlink_to("neuron__9.0__my-branch.sif")
    succeeded(world.clean())
    assert content_at(folder / "for-the-paper") == b"neuron__9.0__my-branch.sif"


def test_branches_are_asked_from_the_remote_of_the_checkout(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world)
    commands = (
        "git init -q -b main remote",
        "git -C remote -c user.name=a -c user.email=a@b commit -q --allow-empty -m one",
        "git -C remote branch heeren/Open_sourcing",
        "git init -q .",
        "git remote add origin remote",
    )
    for command in commands:
        subprocess.run(command.split(), cwd=world.path, check=True)
    monkeypatch.setenv("CI_DEFAULT_BRANCH", "main")
    result = succeeded(world.jc("clean-branches", world.root, "--dry-run"))
    assert "remove" in result.output
    assert "heeren" not in result.output
    monkeypatch.setenv("CI_DEFAULT_BRANCH", "trunk")
    result = world.jc("clean-branches", world.root)
    assert (result.exit_code, "but not refs/heads/trunk" in result.output) == (ExitCode.NOT_THERE, True)
    result = world.jc("clean-branches", world.root, "--remote", "nowhere")
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    monkeypatch.delenv("CI_DEFAULT_BRANCH")
    assert world.jc("clean-branches", world.root).exit_code == ExitCode.USAGE
    assert len(world.keys()) == 11


def test_too_much_at_once_is_refused_before_anything_goes(world: World) -> None:
    for number in range(6):
        world.put(f"neuron__9.0__b{number}.sif", branch(f"b{number}", f"9.0__b{number}"))
    result = world.clean()
    assert (result.exit_code, "6 files would go" in result.output) == (ExitCode.REFUSED, True)
    assert len(world.keys()) == 6
    succeeded(world.clean("--max-delete", "100"))
    assert not world.keys()


def test_a_folder_that_is_not_there_is_an_error(world: World) -> None:
    refs = world.path / "refs"
    refs.write_text("refs/heads/main\n")
    arguments = ("--default-branch", "main", "--refs-file", refs)
    assert world.jc("clean-branches", world.path / "typo", *arguments).exit_code == ExitCode.CANNOT_ACCESS_FILE


def test_cleaning_up_can_be_killed_between_any_two_effects(world: World) -> None:
    root, bucket = world.path, BucketPlace(S3Store(S3Location(world.bucket, PREFIX), world.url))

    def prepare(name: str) -> None:
        world.path = root / name
        world.path.mkdir()
        fill(world)

    def run() -> None:
        cleanup.clean(cleanup.make_plan([bucket, FolderPlace(world.cluster, 0, NOW)], {RELEASE.ref}, RELEASE.ref, 50))

    prepare("whole")
    whole = on_cluster(world)
    with effects(world.cluster) as seen:
        run()
    assert len(seen.seen) == 10, "one request, and three files of each of three containers"
    for number in range(len(seen.seen)):
        prepare(str(number))
        with effects(world.cluster, number), pytest.raises(Killed):
            run()
        assert all(path.exists() for path in world.cluster.glob("*/*")), "no link leads nowhere"
        assert {"neuron__9.0.sif", "nexus-storage__latest__amd64.sif", "current"} <= on_cluster(world) <= whole
        run()
        assert on_cluster(world) == {"neuron__9.0.sif", "nexus-storage__latest__amd64.sif", "current"}
        assert len(list(world.cluster.glob("*/*.sif*"))) == 6
        assert len(world.keys()) == 5, "two releases with markers, and what has no record"


def first(wanted: Callable[[str, str], bool], answer: Answer) -> Fault:
    """The first request that is wanted fails."""
    left = [answer]
    return lambda method, path, _: left.pop() if left and wanted(method, path) else None


def from_then_on(wanted: Callable[[str, str], bool], answer: Answer) -> Fault:
    """That request and all after it fail."""
    broken: list[bool] = []

    def fault(method: str, path: str, _: dict[str, str]) -> Answer | None:
        if wanted(method, path):
            broken.append(True)
        return answer if broken else None

    return fault
