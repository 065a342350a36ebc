"""`jc doctor` asks a real registry and real S3 servers, and leaves nothing there."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from foundation.stores.s3_client import S3Keys, S3Location, s3_client
from foundation.stores.s3_rights import BucketRights, ExpiryRule
from job_creator.diagnosis.buckets import bucket_examinations
from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Health
from job_creator.diagnosis.registries import registry_examinations
from job_creator.diagnosis.signing_keys import key_examinations
from job_creator.site.spack import Signing
from tests.documentation import DOCS
from tests.integration.ceph import KEYS as CEPH_KEYS
from tests.integration.ceph import OTHERS, ceph_environment_fixture, ceph_url_fixture
from tests.integration.registry_server import Registry, TokenService, run_registry
from tests.integration.s3_server import new_bucket, s3_environment_fixture, s3_url_fixture
from tests.integration.signing_keys import key_pair, revoked
from tests.samples import SITE, site

__all__ = ["ceph_environment_fixture", "ceph_url_fixture", "s3_environment_fixture", "s3_url_fixture"]

_numbers = itertools.count()
OWN = ("AWS_CACHE_ACCESS_KEY_ID", "AWS_CACHE_SECRET_ACCESS_KEY")
READERS = ("READ_ID", "READ_SECRET")
BRANCHES = ("AWS_BRANCHES_ACCESS_KEY_ID", "AWS_BRANCHES_SECRET_ACCESS_KEY")
ENVIRONMENT = dict.fromkeys((*OWN, *READERS, *BRANCHES), "any")
READER = "reader: {access_key_id_variable: READ_ID, secret_access_key_variable: READ_SECRET}"


def answers(questions: Iterator[Examination | Diagnosis]) -> list[Diagnosis]:
    """What is said, without asking for what would be asked of other places."""
    return [one for found in questions for one in ((found,) if isinstance(found, Diagnosis) else found.diagnoses())]


def with_bucket(bucket: str, url: str, more: str = "") -> str:
    """A site with one architecture, whose only bucket is this one."""
    text = SITE.partition("  arm64:")[0].replace("    containers: {bucket: sifs}\n", "")
    there = f'bucket: {bucket}, endpoint: "{url}",{more}'
    return text.replace('bucket: cache-amd64, endpoint: "https://s3.example.org",', there)


def buckets(text: str, environment: Mapping[str, str] = ENVIRONMENT) -> list[Diagnosis]:
    return answers(bucket_examinations(site(text), environment))


def left(client: Any, bucket: str) -> list[Any]:
    """What is in a bucket: objects, and uploads that nobody gave up."""
    found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [*found, *client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def test_a_bucket_without_a_fault(s3_environment: str) -> None:
    client = s3_client(s3_environment)
    bucket = new_bucket(client)
    found = buckets(with_bucket(bucket, s3_environment))
    # This server gives everyone everything.
    assert {one.subject for one in found if one.health is Health.FAULT} == {"amd64: build_cache, without keys"}
    assert [one.health for one in found if one.subject == "amd64: build_cache"] == [Health.OK] * 2
    assert not left(client, bucket)


def test_old_versions_and_rules_that_remove_what_is_in_use(s3_environment: str) -> None:
    client = s3_client(s3_environment)
    bucket = new_bucket(client)
    text = with_bucket(bucket, s3_environment, " prefix: caches/amd64,")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def said(*rules: Any) -> list[tuple[Health, str]]:
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*rules]})
        found = buckets(text)
        return [(one.health, one.said) for one in found if one.subject == "amd64: build_cache" and one.health != "ok"]

    def rule(prefix: str, **what: Any) -> dict[str, Any]:
        return {"ID": f"r{next(_numbers)}", "Status": "Enabled", "Filter": {"Prefix": prefix}, **what}

    elsewhere = rule("other/", Expiration={"Days": 5})
    ((health, text_),) = said(elsewhere)
    assert health is Health.WARNING
    assert "keeps old versions" in text_
    old = rule("", NoncurrentVersionExpiration={"NoncurrentDays": 30})
    assert not said(elsewhere, old)
    for prefix in ("", "caches/", "caches/amd64/blobs/"):
        ((health, text_),) = said(old, rule(prefix, Expiration={"Days": 5}))
        assert health is Health.FAULT
        assert "after 5 days" in text_
    assert not said(old, {**rule("", Expiration={"Days": 5}), "Status": "Disabled"})


def test_a_bucket_that_is_not_there_and_a_server_that_is_none(s3_environment: str) -> None:
    (*_, one) = buckets(with_bucket("no-such-bucket-at-all", s3_environment))
    assert one.health is Health.FAULT
    assert "NoSuchBucket" in one.said


def test_keys_that_are_not_here_ask_nothing() -> None:
    found = buckets(with_bucket("cache", "http://127.0.0.1:9", f" {READER},"), {})
    assert {one.health for one in found} == {Health.NOT_CHECKED}
    assert "READ_ID and READ_SECRET are not set here" in " ".join(one.said for one in found)


@pytest.mark.xdist_group("ceph")
@pytest.mark.usefixtures("components")
def test_keys_that_may_too_much_or_too_little(ceph_environment: str) -> None:
    client = s3_client(ceph_environment)
    bucket = f"doctor-{next(_numbers)}"
    client.create_bucket(Bucket=bucket)
    (found,) = re.findall(
        r"^\{\"Version\".+?(?=^```$)", (DOCS / "variables-and-permissions.md").read_text(), re.MULTILINE | re.DOTALL
    )
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(json.loads(found.replace("my-bucket", bucket))))
    text = with_bucket(bucket, ceph_environment, f" prefix: containers, {READER},")
    owner, reader, branches = (CEPH_KEYS["AWS_ACCESS_KEY_ID"], CEPH_KEYS["AWS_SECRET_ACCESS_KEY"]), *OTHERS.values()

    def said(own: tuple[str, str], read: tuple[str, str], others: tuple[str, str]) -> dict[tuple[str, Health], str]:
        order = dict(zip(ENVIRONMENT, (*own, *read, *others), strict=True))
        return {(one.subject.removeprefix("amd64: build_cache"), one.health): one.said for one in buckets(text, order)}

    right = said(owner, reader, branches)
    assert not [key for key in right if key[1] in (Health.FAULT, Health.WARNING)]
    assert "cannot be written with these keys" in right[": reader", Health.OK]
    # A reader that may write, and a writer that may not.
    assert "can write to" in said(owner, owner, branches)[": reader", Health.FAULT]
    assert "cannot be written" in said(reader, reader, branches)["", Health.FAULT]
    wrong = said((owner[0], "wrong"), reader, branches)
    assert "SignatureDoesNotMatch" in wrong["", Health.FAULT]
    assert not left(client, bucket)


@pytest.mark.xdist_group("ceph")
@pytest.mark.usefixtures("components")
def test_a_cache_that_nobody_reads_without_keys_is_a_fault(ceph_environment: str) -> None:
    client = s3_client(ceph_environment)
    bucket = f"doctor-{next(_numbers)}"
    client.create_bucket(Bucket=bucket)
    others = f" prefix: a, branches: {{bucket: {bucket}, prefix: b}},"
    keys = dict(zip(OWN, CEPH_KEYS.values(), strict=False))

    def said(more: str) -> dict[str, Health]:
        found = buckets(with_bucket(bucket, ceph_environment, f"{others}{more}"), {**ENVIRONMENT, **keys})
        return {one.subject.removeprefix("amd64: build_cache"): one.health for one in found}

    assert said("")[", without keys"] is Health.FAULT
    # A reader has to get to the place of branches as well.
    assert said(f" {READER},")[": branches: reader"] is Health.FAULT


def test_rules_are_read_in_all_their_forms(s3_environment: str) -> None:
    client = s3_client(s3_environment)
    bucket = new_bucket(client)
    keys = S3Keys("key", "planted-secret")
    rights = BucketRights(S3Location(bucket), s3_environment, keys)
    assert rights.expiry_rules() == ()
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "a", "Status": "Enabled", "Prefix": "a/", "Expiration": {"Days": 1}},
                {
                    "ID": "b",
                    "Status": "Enabled",
                    "Filter": {"And": {"Prefix": "b/", "Tags": [{"Key": "k", "Value": "v"}]}},
                    "Expiration": {"Days": 2},
                },
            ]
        },
    )
    assert rights.expiry_rules() == (ExpiryRule("a/", 1, False), ExpiryRule("b/", 2, False))
    assert rights.keeps_versions() is False


@pytest.fixture(name="guarded", scope="module")
def guarded_fixture(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("guarded"), TokenService()) as running:
        yield running


def test_rights_at_a_registry(guarded: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert guarded.tokens is not None
    login = {"CI_REGISTRY_USER": guarded.tokens.user, "CI_REGISTRY_PASSWORD": guarded.tokens.password}
    environment = {"HOME": str(tmp_path), "CI_REGISTRY_IMAGE": f"{guarded.host}/group/containers"}
    text = SITE.replace("registry: {image: registry.example.org/group/containers}\n", "")

    def said(**changes: str) -> list[Diagnosis]:
        return answers(registry_examinations(site(text), {**environment, **changes}))

    right = said(**login)
    assert [one.health for one in right] == [Health.OK, Health.OK]
    assert "may push" in right[1].said
    (wrong,) = said(**{**login, "CI_REGISTRY_PASSWORD": "wrong-password"})
    assert wrong.health is Health.FAULT
    assert "wrong-password" not in wrong.said
    # Who is known, and may nothing there.
    elsewhere = said(**login, CI_REGISTRY_IMAGE=f"{guarded.host}/strangers/containers")
    assert Health.FAULT in {one.health for one in elsewhere}
    # Readable by everyone, and no login here.
    public = said(CI_REGISTRY_IMAGE=f"{guarded.host}/public/containers")
    assert [one.health for one in public] == [Health.OK, Health.NOT_CHECKED]
    readable = said(**login, CI_REGISTRY_IMAGE=f"{guarded.host}/public/containers")
    assert [one.health for one in readable] == [Health.OK, Health.FAULT]


@pytest.mark.usefixtures("components")
def test_keys_that_sign(tmp_path: Path) -> None:
    site_keys, other = key_pair(), key_pair("Other")

    def said(private: bytes | None, public: bytes | None) -> list[tuple[Health, str]]:
        environment = {}
        for name, content in (("SPACK_DEPLOYMENT_KEY_PRIVATE", private), ("SPACK_DEPLOYMENT_KEY_PUBLIC", public)):
            if content is not None:
                (tmp_path / name).write_bytes(content)
                environment[name] = str(tmp_path / name)
        return [(one.health, one.said) for one in answers(iter(key_examinations(Signing(), environment)))]

    assert [health for health, _ in said(site_keys.private, site_keys.public)] == [Health.OK, Health.OK]
    assert said(site_keys.private, other.public)[-1][0] is Health.FAULT
    assert [health for health, _ in said(None, None)] == [Health.NOT_CHECKED] * 2
    assert said(None, revoked(site_keys))[0][0] is Health.FAULT
    assert "private key" in said(None, site_keys.private)[0][1]
    assert said(b"nothing", site_keys.public)[-1][0] is Health.FAULT
    assert "passphrase" in said(key_pair("Locked", passphrase="x").private, None)[-1][1]
    old = key_pair("Old", expires="1d", made="20200101T000000")
    assert said(None, old.public)[0][0] is Health.FAULT
    soon = key_pair("Soon", expires="10d")
    assert said(soon.private, soon.public)[0][0] is Health.WARNING
