"""A bucket that others write to: what of it counts, with real signatures on a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from foundation.errors import DamagedError, ExitCode, RefusedError
from foundation.stores.bucket import S3Store
from foundation.stores.s3_client import S3Location
from job_creator.publishing import publication
from job_creator.publishing.clusters import installation
from job_creator.publishing.places import proof_names
from job_creator.publishing.proofs import SitesKeys, verdict
from job_creator.publishing.record import PublicationRecord
from job_creator.site.places import Retention
from tests.integration.effects import Killed, effects
from tests.integration.published import (
    NOW,
    PART,
    PREFIX,
    RELEASE,
    World,
    branch,
    content_at,
    content_of,
    days_ago,
    sha256,
    sif,
    succeeded,
)
from tests.integration.published import world_fixture as world_fixture
from tests.integration.s3_server import Answer, failing_proxy
from tests.integration.s3_server import s3_environment_fixture as s3_environment_fixture
from tests.integration.s3_server import s3_url_fixture as s3_url_fixture
from tests.integration.signing_keys import KeyPair, key_pair

NOT_THE_SITES = "is signed by a key that is not the site's"


@pytest.fixture(name="pair", scope="module")
def pair_fixture(components: None) -> KeyPair:
    return key_pair()


@dataclass
class Bucket:
    """A world whose site has keys, and a hand that may write everything in its bucket."""

    world: World
    pair: KeyPair

    def keys(self, pair: KeyPair | None = None) -> tuple[str, ...]:
        """The options with both keys; without a passphrase on a command line, nor a key."""
        pair = pair or self.pair
        for name, key in (("private", pair.private), ("public", pair.public)):
            (self.world.path / name).write_bytes(key)
        private, public = str(self.world.path / "private"), str(self.world.path / "public")
        return ("--private-key", private, "--public-key", public, "--no-sif-signature")

    @property
    def public(self) -> tuple[str, str]:
        path = self.world.path / "site.asc"
        path.write_bytes(self.pair.public)
        return "--public-key", str(path)

    def publish(self, content: bytes, record: PublicationRecord = RELEASE, pair: KeyPair | None = None) -> None:
        succeeded(self.world.publish(content, record, *self.keys(pair)))

    def record(self, of: PublicationRecord = RELEASE) -> PublicationRecord:
        found = self.world.stored(of)[1]
        assert found is not None
        return found

    def write(self, content: bytes, record: PublicationRecord | None, name: str = RELEASE.file_name) -> None:
        """Anything under a name, with any metadata."""
        metadata = record.to_metadata() if record else {}
        key = f"{PREFIX}/{name}"
        self.world.client.put_object(Bucket=self.world.bucket, Key=key, Body=content, Metadata=metadata)

    def read(self, name: str) -> bytes:
        body = self.world.client.get_object(Bucket=self.world.bucket, Key=f"{PREFIX}/{name}")["Body"]
        return bytes(body.read())

    def sign(self, record: PublicationRecord, pair: KeyPair) -> None:
        """What whoever has that key writes beside a file."""
        signer = SitesKeys(pair.private, pair.public)
        for name, data in zip(proof_names(record), (record.to_signed(), signer.sign(record.to_signed())), strict=True):
            self.write(data, None, name)


@pytest.fixture(name="bucket")
def bucket_fixture(world: World, pair: KeyPair) -> Bucket:
    return Bucket(world, pair)


def test_what_the_site_published_is_proven_and_installed(bucket: Bucket) -> None:
    world = bucket.world
    bucket.publish(content_of(PART + 1))
    assert world.keys() == {"neuron__9.0.sif", *proof_names(bucket.record())}
    assert bucket.read(proof_names(bucket.record())[0]) == bucket.record().to_signed()
    assert "published and up to date" in succeeded(world.publish(b"other", RELEASE, *bucket.keys())).output
    listed = json.loads(succeeded(world.jc("list-sif", world.root, *bucket.public, "--json")).stdout)
    assert [(one["file"], one["proven"]) for one in listed["files"]] == [("neuron__9.0.sif", True)]
    assert "\nproven\n" in succeeded(world.install(RELEASE, *bucket.public)).output
    assert world.link("current") == content_of(PART + 1)


def replaced(bucket: Bucket) -> None:
    bucket.write(sif(b"forged!"), bucket.record())


def replaced_with_its_record(bucket: Bucket) -> None:
    bucket.write(sif(b"forged"), replace(bucket.record(), size=len(sif(b"forged")), sha256=sha256(b"forged"), etags=""))


def replaced_and_signed_by_somebody(bucket: Bucket) -> None:
    record = replace(bucket.record(), size=len(sif(b"forged")), sha256=sha256(b"forged"), etags="")
    bucket.write(sif(b"forged"), record)
    bucket.sign(record, key_pair("Somebody"))


def said_to_be_newer(bucket: Bucket) -> None:
    """With the signature of the record that it had before."""
    before, record = bucket.record(), replace(bucket.record(), pipeline=99)
    bucket.write(sif(b"content"), record)
    for old, new in zip(proof_names(before), proof_names(record), strict=True):
        bucket.write(bucket.read(old), None, new)


def cut_signature(bucket: Bucket) -> None:
    name = proof_names(bucket.record())[1]
    bucket.write(bucket.read(name)[:-40], None, name)


def no_signature(bucket: Bucket) -> None:
    bucket.world.client.delete_object(Bucket=bucket.world.bucket, Key=f"{PREFIX}/{proof_names(bucket.record())[1]}")


def endless_signature(bucket: Bucket) -> None:
    bucket.write(b"x" * (3 << 20), None, proof_names(bucket.record())[1])


@pytest.mark.parametrize(
    ("forge", "code", "reason"),
    [
        (replaced, ExitCode.DAMAGED, "has another content than its record says"),
        (replaced_with_its_record, ExitCode.REFUSED, "is not signed"),
        (replaced_and_signed_by_somebody, ExitCode.DAMAGED, NOT_THE_SITES),
        (said_to_be_newer, ExitCode.DAMAGED, "is not what was signed"),
        (cut_signature, ExitCode.DAMAGED, "has no single signature that can be read"),
        (no_signature, ExitCode.REFUSED, "is not signed"),
        (endless_signature, ExitCode.DAMAGED, "has no single signature that can be read"),
    ],
)
def test_what_is_forged_is_not_installed_and_published_anew(
    bucket: Bucket, forge: Callable[[Bucket], None], code: ExitCode, reason: str
) -> None:
    world = bucket.world
    bucket.publish(b"content")
    forge(bucket)
    refused = world.install(RELEASE, *bucket.public)
    assert (refused.exit_code, reason in refused.output) == (code, True), refused.output
    assert not world.cluster.exists()
    assert f"not proven: {reason}" in succeeded(world.jc("list-sif", world.root, *bucket.public)).output
    again = succeeded(world.publish(b"content", RELEASE, *bucket.keys()))
    assert f"what is published {reason}" in again.output
    succeeded(world.install(RELEASE, *bucket.public))
    assert world.link("current") == b"content"


def test_the_record_of_another_container_is_no_proof(bucket: Bucket) -> None:
    other = replace(RELEASE, container="other")
    bucket.publish(b"other", other)
    bucket.publish(b"content")
    record = bucket.record(other)
    bucket.write(sif(b"other"), record)
    refused = bucket.world.install(RELEASE, *bucket.public)
    assert (refused.exit_code, "or one of another file" in refused.output) == (ExitCode.DAMAGED, True)
    # And with a record that only differs in the name that it has to have.
    forged = replace(record, container="neuron")
    bucket.write(sif(b"other"), forged)
    for old, new in zip(proof_names(record), proof_names(forged), strict=True):
        bucket.write(bucket.read(old), None, new)
    assert "is not what was signed" in bucket.world.install(RELEASE, *bucket.public).output
    assert not bucket.world.cluster.exists()


def test_a_key_that_has_expired_proves_nothing(bucket: Bucket) -> None:
    short = key_pair("Short", expires="seconds=4")
    bucket.publish(b"content", RELEASE, short)
    bucket.pair = short
    time.sleep(4.5)
    refused = bucket.world.install(RELEASE, *bucket.public)
    assert refused.exit_code == ExitCode.DAMAGED
    assert "is signed by a key that has expired" in refused.output
    publish = bucket.world.publish(b"new", RELEASE, *bucket.keys())
    assert (publish.exit_code, "has expired" in publish.output) == (ExitCode.REFUSED, True)


def test_a_server_that_lies_about_what_it_has_is_found_out_by_the_checksum(bucket: Bucket) -> None:
    bucket.publish(b"content")

    def forge(method: str, path: str, _: dict[str, str]) -> Answer | None:
        return Answer(change=lambda content: content.replace(b"content", b"forged!")) if method == "GET" else None

    with failing_proxy(bucket.world.url, forge) as url:
        result = bucket.world.install(RELEASE, *bucket.public, url=url)
    assert (result.exit_code, "arrived, not" in result.output) == (ExitCode.DAMAGED, True)
    assert not list(bucket.world.cluster.rglob("*.sif"))


@pytest.mark.parametrize("page", [b"<html><body>Sign in</body></html>", b"", sif(b"")[:40]])
def test_what_is_no_sif_file_is_neither_published_nor_installed(bucket: Bucket, page: bytes) -> None:
    record = replace(RELEASE, size=len(page), sha256="0" * 64)
    bucket.write(page, record)
    refused = bucket.world.install()
    assert (refused.exit_code, "is no SIF file" in refused.output) == (ExitCode.DAMAGED, True)
    assert not bucket.world.cluster.exists()
    file, recorded = bucket.world.path / "page", bucket.world.path / "record"
    file.write_bytes(page)
    recorded.write_text(RELEASE.to_json())
    refused = bucket.world.jc("publish-sif", file, "--record", recorded, "--to", bucket.world.root)
    assert (refused.exit_code, "is no SIF file" in refused.output) == (ExitCode.DAMAGED, True)


def test_an_older_file_that_is_put_back_does_not_become_current(bucket: Bucket) -> None:
    """Its signature is good, and stays so."""
    world = bucket.world
    older, newer = replace(RELEASE, pipeline=10), replace(RELEASE, container_checksum="b" * 64, pipeline=20)
    bucket.publish(b"older", older)
    kept = {name: bucket.read(name) for name in {*world.keys()}}
    old = bucket.record()
    bucket.publish(b"newer", newer)
    succeeded(world.install(RELEASE, *bucket.public, "--pipeline", "20", "--fingerprint", "b" * 64))
    for name, content in kept.items():
        bucket.write(content, old if name == RELEASE.file_name else None, name)
    wanted = ("--pipeline", "30", "--fingerprint", "b" * 64)
    result = world.install(RELEASE, *bucket.public, *wanted)
    assert (result.exit_code, "is not what pipeline 30 wants" in result.output) == (ExitCode.REFUSED, True)
    result = world.install(RELEASE, *bucket.public)
    assert (result.exit_code, "that of pipeline 20 is installed" in result.output) == (ExitCode.REFUSED, True)
    assert world.link() == world.link("current") == b"newer"
    # On a new cluster only whoever wants something notices.
    world.path = world.path / "new"
    world.path.mkdir()
    assert world.install(RELEASE, *bucket.public, *wanted).exit_code == ExitCode.REFUSED


def test_a_job_that_comes_late_installs_what_is_newer(bucket: Bucket) -> None:
    bucket.publish(b"newer", replace(RELEASE, container_checksum="b" * 64, pipeline=20))
    wanted = ("--pipeline", "10", "--fingerprint", "a" * 64)
    succeeded(bucket.world.install(RELEASE, *bucket.public, *wanted))
    assert bucket.world.link() == b"newer"


def test_a_site_without_keys_installs_and_says_so(bucket: Bucket) -> None:
    succeeded(bucket.world.publish(b"content"))
    assert "not proven: cannot be verified without" in succeeded(bucket.world.install()).output
    assert bucket.world.link("current") == b"content"
    refused = bucket.world.install(RELEASE, "--unproven", "refuse")
    assert refused.exit_code == ExitCode.REFUSED


def test_files_of_branches_are_installed_unproven_and_never_become_current(bucket: Bucket) -> None:
    world, options = bucket.world, (*bucket.public, "--unproven", "install")
    other = branch("x", "9.0__x")
    succeeded(world.publish(b"branch", other))
    assert "not proven: is not signed" in succeeded(world.install(other, *options)).output
    assert world.link(other.file_name) == b"branch"
    bucket.write(sif(b"branch"), replace(bucket.record(other), is_release=True), other.file_name)
    result = succeeded(world.install(other, *options))
    assert "links to it: neuron__9.0__x.sif\n" in result.output
    assert not (world.cluster / "neuron" / "current").exists()


def test_without_a_pair_of_keys_nothing_is_published(bucket: Bucket) -> None:
    world, keys = bucket.world, bucket.keys()
    wrong = [(*keys[:1], "", *keys[2:]), (*keys[:3], "", *keys[4:]), (*keys[:3], keys[1], *keys[4:])]
    (world.path / "other").write_bytes(key_pair("Somebody").public)
    wrong.append((*keys[:3], str(world.path / "other"), *keys[4:]))
    both = bucket.pair.private + key_pair("Somebody").private
    (world.path / "both").write_bytes(both)
    wrong.append((keys[0], str(world.path / "both"), *keys[2:]))
    codes = [world.publish(b"content", RELEASE, *options).exit_code for options in wrong]
    # A private key verifies as well, whatever the file is called.
    assert codes == [ExitCode.REFUSED, ExitCode.REFUSED, ExitCode.OK, ExitCode.REFUSED, ExitCode.REFUSED]
    assert world.publish(b"content", RELEASE, *keys[:2]).exit_code == ExitCode.USAGE


def test_one_job_stages_and_another_one_signs(bucket: Bucket) -> None:
    world = bucket.world
    succeeded(world.stage(b"content"))
    report = dict(line.split("=", 1) for line in (world.path / "sif.env").read_text().splitlines())
    (staged,) = world.keys()
    assert report == {"STAGED_SIF": f"{world.root}/{staged}", "STAGED_SHA256": sha256(b"content")}

    def publish(*more: str) -> tuple[int, str]:
        recorded = str(world.path / "record.json")
        arguments = ("--record", recorded, "--to", world.root, *bucket.keys(), *more)
        result = world.jc("publish-sif", report["STAGED_SIF"], *arguments)
        return result.exit_code, result.output

    assert publish()[0] == ExitCode.REFUSED
    assert publish("--sha256", "0" * 64)[0] == ExitCode.DAMAGED
    assert world.keys() == {staged}
    assert publish("--sha256", report["STAGED_SHA256"])[0] == ExitCode.OK
    assert world.keys() == {"neuron__9.0.sif", *proof_names(bucket.record())}
    code, said = publish("--sha256", report["STAGED_SHA256"])
    assert (code, "published and up to date" in said) == (ExitCode.OK, True), "a job that is run again"


def test_signed_records_go_with_their_files(bucket: Bucket) -> None:
    world = bucket.world
    bucket.publish(b"branch", branch("x", "9.0__x"))
    bucket.publish(b"first")
    bucket.publish(b"second", replace(RELEASE, container_checksum="b" * 64))
    kept = {"neuron__9.0.sif", *proof_names(bucket.record())}
    assert kept < world.keys()
    succeeded(world.clean())
    assert world.keys() == kept
    old = replace(RELEASE, tag="8.0", published=days_ago(60), size=len(sif(b"old")), sha256=sha256(b"old"))
    bucket.write(sif(b"old"), old, old.file_name)
    bucket.sign(old, bucket.pair)
    record = replace(RELEASE, container_checksum="b" * 64)
    succeeded(world.publish(b"second", record, *bucket.keys(), "--keep", "1", "--older-than", "30"))
    assert world.keys() == kept


def test_publishing_with_a_signature_can_be_killed_between_any_two_effects(bucket: Bucket) -> None:
    """Whatever has the name is proven at any time, and nothing is left in the end."""
    world, signer = bucket.world, SitesKeys(bucket.pair.private, bucket.pair.public)
    store = S3Store(S3Location(world.bucket, PREFIX), world.url)
    old, new = replace(RELEASE, tag="8.0"), replace(RELEASE, container_checksum="b" * 64)
    file = world.path / "file.sif"
    file.write_bytes(sif(b"new"))

    def prepare() -> None:
        for key in {*world.keys()}:
            world.client.delete_object(Bucket=world.bucket, Key=f"{PREFIX}/{key}")
        for one, age in ((old, 60), (RELEASE, 1)):
            record = replace(one, published=days_ago(age), size=len(sif(b"old")), sha256=sha256(b"old"))
            bucket.write(sif(b"old"), record, one.file_name)
            bucket.sign(record, bucket.pair)

    def run() -> None:
        plan = publication.make_plan(store, new, Retention(keep=1, older_than_days=30), NOW, signer)
        publication.publish(store, plan, file, lambda _: None, NOW, signer)

    prepare()
    with effects(Path(f"{world.path}/none")) as seen:
        run()
    assert len(seen.seen) == 8, "upload in three, record, signature, copy, remove what is temporary, remove what is old"
    for number in range(len(seen.seen)):
        prepare()
        with effects(Path(f"{world.path}/none"), number), pytest.raises(Killed):
            run()
        found = store.look(RELEASE.file_name)
        assert found is not None
        assert verdict(store, found, bucket.pair.public).is_good, seen.seen[:number]
        run()
        kept = {RELEASE.file_name, *proof_names(bucket.record())}
        left = {key for key in world.keys() - kept if not key.startswith(f"{publication.UPLOADS}/")}
        assert left <= {name for name in left if name.startswith(f"signed/{RELEASE.file_name}.")}, "for a day"
        assert world.stored()[0] == b"new"


def copied(bucket: Bucket, source: PublicationRecord, record: PublicationRecord, *more: str) -> tuple[int, str]:
    recorded = bucket.world.path / "record.json"
    recorded.write_text(record.to_json())
    url = f"{bucket.world.root}/{source.file_name}"
    result = bucket.world.jc("publish-sif", url, "--record", recorded, "--to", bucket.world.root, *more)
    return result.exit_code, result.output


def test_what_another_branch_made_from_the_same_is_copied_by_the_server(bucket: Bucket) -> None:
    world, other = bucket.world, branch("x", "9.0__x")
    bucket.publish(content_of(2 * PART + 3))
    with effects(world.path) as seen:
        code, said = copied(bucket, RELEASE, other, *bucket.public)
    assert (code, "not published yet" in said) == (ExitCode.OK, True)
    assert [one.split()[0] for one in seen.seen if one.startswith(("PUT", "POST"))] == ["PUT"], "a copy, no upload"
    content, record = world.stored(other)
    assert content == content_of(2 * PART + 3)
    assert record is not None
    assert (record.ref, record.is_release, record.etags) == (other.ref, False, bucket.record().etags)
    succeeded(world.install(other, *bucket.public, "--unproven", "install"))
    assert world.link(other.file_name) == content
    # With the key, the copy is signed as well.
    assert copied(bucket, RELEASE, branch("y", "9.0__y"), *bucket.keys())[0] == ExitCode.OK
    succeeded(world.install(branch("y", "9.0__y"), *bucket.public))


def test_nothing_is_copied_that_is_another_file_or_not_proven(bucket: Bucket) -> None:
    world, other = bucket.world, branch("x", "9.0__x")
    bucket.publish(b"content")
    code, said = copied(bucket, RELEASE, replace(other, container_checksum="b" * 64), *bucket.public)
    assert (code, "they differ in container_checksum" in said) == (ExitCode.REFUSED, True)
    assert copied(bucket, replace(RELEASE, tag="8.0"), other, *bucket.public)[0] == ExitCode.NOT_THERE
    replaced_with_its_record(bucket)
    code, said = copied(bucket, RELEASE, other, *bucket.public)
    assert (code, "is not signed, so it is not copied" in said) == (ExitCode.REFUSED, True)
    assert not world.has(other.file_name)


def test_a_copy_can_be_killed_between_any_two_effects(bucket: Bucket) -> None:
    world, other = bucket.world, branch("x", "9.0__x")
    bucket.publish(b"content")
    store, signer = (
        S3Store(S3Location(world.bucket, PREFIX), world.url),
        SitesKeys(bucket.pair.private, bucket.pair.public),
    )

    def run() -> None:
        source = store.look(RELEASE.file_name)
        assert source is not None
        plan = publication.make_plan(store, other, None, NOW, signer)
        publication.publish_copy(store, plan, source, NOW, signer)

    for number in range(3):
        world.client.delete_object(Bucket=world.bucket, Key=f"{PREFIX}/{other.file_name}")
        with effects(Path(f"{world.path}/none"), number) as seen, pytest.raises(Killed):
            run()
        assert len(seen.seen) == number, "record, signature, copy"
        assert not world.has(other.file_name)
        run()
        found = store.look(other.file_name)
        assert found is not None
        assert verdict(store, found, bucket.pair.public).is_good


def test_installing_what_is_proven_can_be_killed_between_any_two_effects(bucket: Bucket) -> None:
    """Whatever is replaced in the bucket then, nothing of it moves a link."""
    world, root = bucket.world, bucket.world.path
    store = S3Store(S3Location(world.bucket, PREFIX), world.url)
    contents = [b"first", b"second", content_of(PART + 1)]
    bucket.publish(contents[-1])
    genuine, record = bucket.read(RELEASE.file_name), bucket.record()
    forged = replace(record, sha256=sha256(b"forged"), size=len(sif(b"forged")), etags="")
    rules = installation.Rules(keep=1, keep_days=0)
    asked = installation.Asked(pipeline=record.pipeline, keys=bucket.pair.public, is_proof_needed=True)

    def prepare(name: str) -> None:
        world.path = root / name
        world.path.mkdir()
        for content, age in zip(contents[:2], (9, 8), strict=True):
            world.put_on_cluster(replace(RELEASE, published=days_ago(age)), content, "current")

    def run() -> None:
        plan = installation.make_plan(store, RELEASE.file_name, world.cluster, rules, NOW, asked)
        assert plan.proof.is_good
        installation.install(store, plan, rules, "big", lambda _: None, NOW)

    def linked() -> set[bytes]:
        return {world.link(), world.link("current")}

    prepare("whole")
    with effects(world.cluster, reads=True) as seen:
        run()
    assert linked() == {contents[-1]}
    for number in range(len(seen.seen)):
        prepare(str(number))
        with effects(world.cluster, number, reads=True), pytest.raises(Killed):
            run()
        before = linked()
        assert before <= {*contents[1:]}, seen.seen[:number]
        for metadata in (record, forged):
            bucket.write(sif(b"forged"), metadata)
            with pytest.raises((DamagedError, RefusedError)):
                run()
            assert linked() == before
        # Its owner puts it back, as a file that is sent at once: with the checksum of the whole as its ETag.
        bucket.write(genuine, record)
        run()
        assert linked() == {contents[-1]}
        assert sorted(map(content_at, (world.cluster / "neuron").glob("*.*.*.sif"))) == sorted(contents[1:])
