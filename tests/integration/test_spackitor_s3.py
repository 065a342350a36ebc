"""Cleaning a mirror in a bucket, over HTTP: moto's server and, where it is installed, Ceph's radosgw."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from foundation.doors.blocks import sha256_of
from foundation.errors import CouldNotAskError, ExitCode, NotThereError, RefusedError
from foundation.stores import s3_parts
from foundation.stores.bucket import KEYS_PER_REQUEST, S3Store
from foundation.stores.s3_client import parse_s3_url, s3_client
from foundation.stores.store import ChangedError, Store, StoredObject, read_all
from job_creator.mirrors.filling.destinations import BucketDestination
from spackitor import commands
from spackitor.__main__ import main
from spackitor.commands import CleanRules, RunOptions
from spackitor.inventory.roots import RootSet
from spackitor.removal import binaries
from spackitor.removal.indexes import make_indexes_fit
from spackitor.survey.survey import survey
from tests.integration.ceph import ceph_environment_fixture, ceph_url_fixture  # noqa: F401 - fixtures
from tests.integration.published import PART
from tests.integration.s3_server import Answer, failing_proxy, new_bucket
from tests.unit.spackitor.mirrors import LAYOUTS, LayoutName, Made, MadeMirror, WatchedStore, dag_hash

TREE = (
    Made("app", ["lib"], age=100),
    Made("lib", ["base"], age=100),
    Made("base", age=100),
    Made("new", ["base"], age=2),
    Made("old", ["oldlib"], age=50),
    Made("oldlib", age=60),
)
LATE = Made("late", ["base"])
MONTH = (1.0, 30.0)
SECONDS = 4
YOUNG = (SECONDS / 86400, SECONDS / 86400)
"""From how many days on things may go, and do, if nobody needs them."""
NEW = {dag_hash(name) for name in ("new", "base")}


class Bucket:
    """A bucket with a made-up mirror under a prefix, whose objects are as old as they say."""

    def __init__(self, url: str, name: str = "") -> None:
        self.client = s3_client(url)
        self.endpoint = url
        self.name = name or new_bucket(self.client)
        self.has_ages = not name

    def fill(self, folder: Path) -> None:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            key = f"pre/{path.relative_to(folder).as_posix()}"
            self.client.put_object(Bucket=self.name, Key=key, Body=path.read_bytes())
            self.set_age(key, (time.time() - path.stat().st_mtime) / 86400)

    def set_age(self, key: str, days: float) -> None:
        from moto.s3.models import s3_backends

        if not self.has_ages:
            return
        backend = next(one for account in s3_backends.values() for one in account.values() if self.name in one.buckets)
        backend.buckets[self.name].keys[key].last_modified = datetime.now(UTC) - timedelta(days=days)

    def all_keys(self) -> set[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {one["Key"] for page in pages for one in page.get("Contents", ())}

    def store(self, endpoint: str = "", keys_per_request: int = KEYS_PER_REQUEST) -> S3Store:
        return S3Store(parse_s3_url(f"s3://{self.name}/pre"), endpoint or self.endpoint, keys_per_request)

    def listed(self) -> dict[str, set[str]]:
        return {file.key: set(file.index.listed) for file in survey(self.store()).inventory.indexes if file.index}


@pytest.fixture(name="bucket")
def bucket_fixture(s3_environment: str) -> Bucket:
    return Bucket(s3_environment)


@pytest.fixture(name="mirror", params=LAYOUTS)
def mirror_fixture(bucket: Bucket, tmp_path: Path, request: pytest.FixtureRequest) -> Bucket:
    layout: LayoutName = request.param
    MadeMirror(tmp_path / "made", layout, TREE, now=time.time())
    bucket.fill(tmp_path / "made")
    return bucket


def spackitor(bucket: Bucket, command: str, *arguments: str, endpoint: str = "") -> Result:
    # The variable that Spack knows; boto3 does not.
    environment = {"S3_ENDPOINT_URL": endpoint or bucket.endpoint}
    return CliRunner().invoke(main, ["-q", command, f"s3://{bucket.name}/pre", *arguments], env=environment)


def clean(bucket: Bucket, *arguments: str, endpoint: str = "") -> Result:
    return spackitor(bucket, "clean", "--max-age", "30", "--max-delete", "100", *arguments, endpoint=endpoint)


def test_a_mirror_is_cleaned_restored_and_cleaned_for_good(mirror: Bucket) -> None:
    before = mirror.all_keys()
    done = clean(mirror, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert {one["name"] for one in said["plan"]["removals"]} == {"app", "lib", "old", "oldlib"}
    assert said["report"]["removed"] == 4
    assert list(mirror.listed().values()) == [NEW]
    again = json.loads(clean(mirror, "--json").stdout)
    assert again["plan"]["removals"] == []
    assert not again["requests"].keys() & {"PUT", "DELETE", "COPY"}
    assert spackitor(mirror, "restore").stdout.startswith("4 specs of run ")
    assert list(mirror.listed().values()) == [{dag_hash(spec.name) for spec in TREE}]
    assert before <= mirror.all_keys()
    for one in mirror.all_keys():
        mirror.set_age(one, 90)
    assert clean(mirror, "--no-quarantine").exit_code == 0
    assert not [one for one in mirror.all_keys() for name in ("app", "old") if dag_hash(name) in one]


def test_planning_needs_list_pages_and_the_index(bucket: Bucket, tmp_path: Path) -> None:
    """D82: one HEAD for each spec; here 80 objects take two pages."""
    MadeMirror(tmp_path / "made", "v2", [Made(f"p{number}", age=9, size=1) for number in range(40)], now=time.time())
    bucket.fill(tmp_path / "made")
    store, options = bucket.store(keys_per_request=60), RunOptions(max_delete=100, is_dry_run=True)
    done = commands.clean(store, (), CleanRules(max_age=30), options, lambda _: None, lambda *_: None)
    assert done.plan.total == 40
    assert sum(done.requests.values()) <= 2 + 10
    assert done.requests.keys() == {"LIST", "GET"}
    assert done.requests["LIST"] > json.loads(clean(bucket, "--dry-run", "--json").stdout)["requests"]["LIST"]


def test_manifests_are_read_once(bucket: Bucket, tmp_path: Path) -> None:
    MadeMirror(tmp_path / "made", "v3", TREE, now=time.time())
    bucket.fill(tmp_path / "made")
    first = json.loads(clean(bucket, "--json").stdout)["requests"]
    second = json.loads(clean(bucket, "--json").stdout)["requests"]
    assert first["GET"] - second["GET"] >= len(TREE) - 2


def test_read_only_keys_plan_and_change_nothing(mirror: Bucket) -> None:
    def refuse(method: str, _path: str, _headers: dict[str, str]) -> Answer | None:
        return None if method in ("GET", "HEAD") else Answer(403)

    before = mirror.all_keys()
    with failing_proxy(mirror.endpoint, refuse) as proxy:
        assert clean(mirror, "--dry-run", endpoint=proxy).exit_code == 0
        done = clean(mirror, endpoint=proxy)
    assert done.exit_code == ExitCode.REFUSED
    assert "nothing is changed at all" in done.stderr
    assert mirror.all_keys() == before


def test_keys_that_may_write_but_not_delete_are_found_out_first(mirror: Bucket) -> None:
    def refuse(method: str, path: str, _headers: dict[str, str]) -> Answer | None:
        return Answer(403) if method == "POST" and "delete" in path else None

    before = mirror.listed()
    with failing_proxy(mirror.endpoint, refuse) as proxy:
        assert clean(mirror, endpoint=proxy).exit_code in (ExitCode.COULD_NOT_ASK, ExitCode.REFUSED)
    assert mirror.listed() == before


def test_without_keys_the_mirror_is_read_anonymously(mirror: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """D93: static keys were required."""
    seen: list[str] = []

    def note(_method: str, _path: str, headers: dict[str, str]) -> None:
        seen.append(headers.get("Authorization", ""))

    for key in mirror.all_keys():
        mirror.client.put_object_acl(Bucket=mirror.name, Key=key, ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with failing_proxy(mirror.endpoint, note) as proxy:
        done = spackitor(mirror, "list", endpoint=proxy)
    assert done.exit_code == 0, done.output
    assert set(seen) == {""}


def test_d85_errors_of_single_keys_are_reported_and_the_next_run_finishes(mirror: Bucket) -> None:
    """D85: DeleteObjects answers 200 with errors for single keys, which were not looked at."""

    def fail_one(method: str, path: str, _headers: dict[str, str]) -> Answer | None:
        if method != "POST" or "delete" not in path:
            return None
        return Answer(change=lambda content: _with_error(content, dag_hash("app"), "AccessDenied"))

    with failing_proxy(mirror.endpoint, fail_one) as proxy:
        done = clean(mirror, endpoint=proxy)
    assert done.exit_code == ExitCode.COULD_NOT_ASK
    assert re.search(rf"1 objects could not be deleted, such as .*{dag_hash('app')}.*AccessDenied", done.stderr)
    assert list(mirror.listed().values()) == [NEW]


def test_passing_errors_of_single_keys_are_tried_again(mirror: Bucket) -> None:
    failures = ["SlowDown", "InternalError"]

    def fail_app(content: bytes) -> bytes:
        found = dag_hash("app").encode() in content and failures
        return _with_error(content, dag_hash("app"), failures.pop()) if found else content

    def fail(method: str, path: str, _headers: dict[str, str]) -> Answer | None:
        if method != "POST" or "delete" not in path:
            return None
        return Answer(change=fail_app)

    with failing_proxy(mirror.endpoint, fail) as proxy:
        done = clean(mirror, endpoint=proxy)
    assert done.exit_code == 0, done.output
    assert not failures


def _with_error(content: bytes, part: str, code: str) -> bytes:
    """The answer to DeleteObjects, with an error (without message, as Ceph has it) for one of its keys."""
    key = next((one for one in re.findall(rb"<Key>([^<]*)</Key>", content) if part.encode() in one), b"")
    if not code or not key:
        return content
    error = b"<Error><Key>" + key + b"</Key><Code>" + code.encode() + b"</Code></Error>"
    # What is deleted need not be listed; the length has been announced.
    changed = b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' + error + b"</DeleteResult>"
    assert len(changed) <= len(content)
    return changed.ljust(len(content))


def test_slow_down_is_waited_for(mirror: Bucket) -> None:
    answers = iter([Answer(503), Answer(503)])
    with failing_proxy(mirror.endpoint, lambda *_: next(answers, None)) as proxy:
        assert spackitor(mirror, "list", endpoint=proxy).exit_code == 0


@pytest.mark.parametrize("status", [401, 403])
def test_could_not_ask_never_reads_as_not_there(mirror: Bucket, status: int) -> None:
    with failing_proxy(mirror.endpoint, lambda *_: Answer(status)) as proxy:
        done = clean(mirror, endpoint=proxy)
    assert done.exit_code == ExitCode.COULD_NOT_ASK
    assert "planted-secret" not in done.output


def test_no_such_bucket_is_not_there(s3_environment: str) -> None:
    with pytest.raises(NotThereError, match="no such bucket"):
        survey(S3Store(parse_s3_url("s3://nobody-has-this"), s3_environment))


@pytest.mark.parametrize(("size", "requests"), [(PART, {"PUT": 1}), (PART + 1, {"UploadPart": 2})])
def test_a_mirror_gets_large_files_in_parts(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, requests: dict[str, int]
) -> None:
    monkeypatch.setattr(s3_parts, "PART_SIZE", PART)
    destination = BucketDestination(bucket.endpoint, tmp_path, bucket.store())
    staged = tmp_path / "staged"
    staged.write_bytes(content := random.Random(size).randbytes(size))
    destination.put(staged, "app/app-1.0.tar.gz", ["a/readable/name"])
    sent = {kind: number for kind, number in destination.store.requests.items() if kind in ("PUT", "UploadPart")}
    assert sent == requests
    assert bucket.all_keys() == {"pre/app/app-1.0.tar.gz"}
    assert sha256_of(destination.store.stream("app/app-1.0.tar.gz")) == hashlib.sha256(content).hexdigest()
    assert not staged.exists()


def test_a_copy_has_its_own_metadata_and_only_what_was_looked_at_is_read(bucket: Bucket) -> None:
    store = bucket.store()
    store.write("one", b"old")
    found = store.look("one")
    assert found is not None
    store.copy_with(found, "two", {"Said": "of it"})
    copied = store.look("two")
    assert copied is not None
    assert (copied.size, copied.metadata) == (3, {"said": "of it"})
    assert b"".join(store.blocks(found)) == b"old"
    store.write("one", b"new")
    with pytest.raises(CouldNotAskError, match="was replaced"):
        list(store.blocks(found))


def test_conditional_writes(bucket: Bucket) -> None:
    store = bucket.store()
    tag = store.write("a.json", b"1", replaces=None)
    with pytest.raises(ChangedError):
        store.write("a.json", b"2", replaces=None)
    store.write("a.json", b"3", replaces=tag)
    with pytest.raises(ChangedError):
        store.write("a.json", b"4", replaces=tag)
    content = store.read("a.json")
    assert content is not None
    assert content.data == b"3"


def test_a_server_that_knows_no_conditions_is_looked_at_before(bucket: Bucket) -> None:
    def unknown(method: str, _path: str, headers: dict[str, str]) -> Answer | None:
        conditional = {"if-match", "if-none-match"} & {name.lower() for name in headers}
        return Answer(501) if method == "PUT" and conditional else None

    with failing_proxy(bucket.endpoint, unknown) as proxy:
        store = bucket.store(proxy)
        tag = store.write("a.json", b"1", replaces=None)
        bucket.store().write("a.json", b"2")
        with pytest.raises(ChangedError):
            store.write("a.json", b"3", replaces=tag)


def test_keys_of_any_spelling_and_more_than_one_batch(bucket: Bucket) -> None:
    """D94, D96: the wrong keys were deleted, and paging began anew."""
    store = bucket.store(keys_per_request=20)
    odd = [f"build_cache/{text}" for text in ("a b", "a+b", "a&b", "a<b", "a%2Fb", "é", "a#b", "a?b", "'\"")]
    many = [*odd, *(f"build_cache/{number:04}" for number in range(25))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.write(key, key.encode()), many))
    assert {one.key for one in store.list("build_cache/")} == set(many)
    assert {key: content.data.decode() for key, content in read_all(store, odd) if content} == {key: key for key in odd}
    store.requests.clear()
    assert store.delete(many[:-1]) == {}
    assert store.requests["DELETE"] == 2
    assert [one.key for one in store.list("build_cache/")] == [many[-1]]
    # Left alone, a store asks for as much as S3 lets it.
    store = bucket.store()
    assert store.delete(f"gone/{number}" for number in range(2000)) == {}
    assert store.requests["DELETE"] == 2


def test_an_object_that_is_not_there(bucket: Bucket) -> None:
    store = bucket.store()
    assert store.read("nothing") is None
    assert store.delete(["nothing"]) == {}
    with pytest.raises(NotThereError):
        store.copy("nothing", "something")
    with pytest.raises(NotThereError):
        list(store.stream("nothing"))
    assert store.look("nothing") is None
    store.write("a/b", b"xyz")
    assert b"".join(store.stream("a/b")) == b"xyz"
    assert [store.look("a/b")] == list(store.list("a/"))


def test_time_is_the_servers(bucket: Bucket) -> None:
    store = bucket.store()
    store.folders()
    assert abs(store.now() - time.time()) < 5


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("other", ["push", "clean"])
def test_somebody_else_writes_between_two_effects(
    s3_environment: str, tmp_path: Path, layout: LayoutName, other: str
) -> None:
    """A push with `update-index`, or another clean, comes in between: nothing that is in use goes, no index lies."""
    folder = MadeMirror(tmp_path / "made", layout, TREE, now=time.time()).root
    late = MadeMirror(tmp_path / "late", layout, (*TREE, LATE), now=time.time()).root
    effects = len(_cleaned(_filled(s3_environment, folder), _no, 0).effects)
    for number in (1, effects // 2):
        bucket = _filled(s3_environment, folder)

        def interfere(bucket: Bucket = bucket) -> None:
            if other == "clean":
                _clean(bucket.store())
                return
            _push(bucket, folder, late)

        _cleaned(bucket, interfere, number)
        _clean(bucket.store())
        _require_right(bucket, NEW | ({dag_hash("late")} if other == "push" else set()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_cleans_at_the_same_time(s3_environment: str, tmp_path: Path, layout: LayoutName) -> None:
    bucket = _filled(s3_environment, MadeMirror(tmp_path / "made", layout, TREE, now=time.time()).root)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(_clean, bucket.store()) for _ in range(2)]
        for one in done:
            one.exception()  # either may give up where the other keeps writing; nothing may break
    _clean(bucket.store())
    _require_right(bucket, NEW)
    assert spackitor(bucket, "restore").exit_code == 0
    _require_right(bucket, {dag_hash(spec.name) for spec in TREE})


@pytest.mark.xdist_group("ceph")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_writers_on_ceph(ceph_environment: str, tmp_path: Path, layout: LayoutName) -> None:
    """The same with a server that checks conditions: a push with its index, and two cleans at the same time."""
    folder = MadeMirror(tmp_path / "made", layout, TREE, now=time.time()).root
    late = MadeMirror(tmp_path / "late", layout, (*TREE, LATE), now=time.time()).root
    effects = len(_cleaned(_filled_ceph(ceph_environment, folder), _no, 0, YOUNG).effects)
    for number in (1, effects // 2, effects - 1):
        bucket = _filled_ceph(ceph_environment, folder)
        _cleaned(bucket, partial(_push, bucket, folder, late), number, YOUNG)
        _clean(bucket.store(), YOUNG, "late")  # by now it may be older than that
        _require_right(bucket, NEW | {dag_hash("late")})
    bucket = _filled_ceph(ceph_environment, folder)
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(_clean, bucket.store(), YOUNG) for _ in range(2)]:
            one.exception()
    _clean(bucket.store(), YOUNG)
    _require_right(bucket, NEW)
    assert spackitor(bucket, "restore").exit_code == 0
    _require_right(bucket, {dag_hash(spec.name) for spec in TREE})


def _push(bucket: Bucket, before: Path, after: Path) -> None:
    """What a push adds, blobs first, and then an index of everything."""
    new = [path for path in after.rglob("*") if path.is_file() and not (before / path.relative_to(after)).exists()]
    for path in sorted(new, key=lambda one: "blobs" not in one.parts):
        if "index" not in path.name:
            key = f"pre/{path.relative_to(after).as_posix()}"
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=path.read_bytes())
    make_indexes_fit(bucket.store(), anew=True)


def _filled(url: str, folder: Path) -> Bucket:
    bucket = Bucket(url)
    bucket.fill(folder)
    return bucket


def _filled_ceph(url: str, folder: Path) -> Bucket:
    """Its objects are as old as they are; so this waits until they are older than what is pushed later."""
    bucket = Bucket(url, f"spackitor-{time.monotonic_ns()}")
    bucket.client.create_bucket(Bucket=bucket.name)
    bucket.fill(folder)
    time.sleep(SECONDS + 1)
    return bucket


def _clean(store: Store, days: tuple[float, float] = MONTH, *also: str) -> None:
    least, most = days
    options = RunOptions(min_age=least, max_delete=100)
    roots = RootSet("r", tuple(dag_hash(name) for name in ("new", *also)))
    commands.clean(store, (roots,), CleanRules(most), options, lambda _: None, _no)


def _no(*_: object) -> None:
    """Progress that nobody looks at."""


def _cleaned(bucket: Bucket, act: Callable[[], None], number: int, days: tuple[float, float] = MONTH) -> WatchedStore:
    """Clean, and act before the effect of this number."""
    store = WatchedStore(bucket.store())

    def before(_what: str, _key: str) -> None:
        if len(store.effects) == number and not acted:
            acted.append(True)
            act()

    acted: list[bool] = []
    store.before = before
    _clean(store, days)
    return store


def _require_right(bucket: Bucket, expected: set[str]) -> None:
    """What is in use is usable and listed, and what is listed is usable."""
    inventory = survey(bucket.store()).inventory
    assert inventory.usable == expected
    assert list(bucket.listed().values()) == [expected]


def test_roots_in_a_bucket(mirror: Bucket, tmp_path: Path) -> None:
    keep_file = tmp_path / "keep"
    keep_file.write_text(f"/{dag_hash('old')}\n")
    assert spackitor(mirror, "keep", "--keep-file", str(keep_file), "--as", "a/b c").exit_code == 0
    assert json.loads(spackitor(mirror, "roots", "--json").stdout)[0]["name"] == "a/b c"
    assert clean(mirror).exit_code == 0
    assert list(mirror.listed().values()) == [NEW | {dag_hash("old"), dag_hash("oldlib")}]
    assert spackitor(mirror, "forget", "a/b c").exit_code == 0
    assert spackitor(mirror, "forget", "a/b c").exit_code == ExitCode.NOT_THERE


@pytest.fixture(name="ceph")
def ceph_fixture(ceph_environment: str) -> Bucket:
    """A bucket on a Ceph."""
    name = f"spackitor-{time.monotonic_ns()}"
    bucket = Bucket(ceph_environment, name)
    bucket.client.create_bucket(Bucket=name)
    return bucket


@pytest.mark.xdist_group("ceph")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_ceph_is_cleaned_too(ceph: Bucket, tmp_path: Path, layout: LayoutName) -> None:
    """Ceph refuses what moto lets pass: wrong keys, 1,001 keys in a batch, conditions that do not hold."""
    MadeMirror(tmp_path / "made", layout, TREE, now=time.time())
    ceph.fill(tmp_path / "made")
    time.sleep(1.1)
    keep_file = tmp_path / "keep"
    keep_file.write_text(dag_hash("new"))
    arguments = ("--max-age", "0", "--min-age", "0", "--max-delete", "100", "--keep-file", str(keep_file), "--json")
    done = spackitor(ceph, "clean", *arguments)
    assert done.exit_code == 0, done.output
    assert list(ceph.listed().values()) == [NEW]
    assert json.loads(spackitor(ceph, "clean", *arguments).stdout)["plan"]["removals"] == []
    assert spackitor(ceph, "restore").exit_code == 0
    assert list(ceph.listed().values()) == [{dag_hash(spec.name) for spec in TREE}]
    store = ceph.store()
    tag = store.write("x.json", b"1", replaces=None)
    with pytest.raises(ChangedError):
        store.write("x.json", b"2", replaces=None)
    store.write("x.json", b"3", replaces=tag)
    many = [f"build_cache/{number}" for number in range(1001)]
    assert store.delete(many) == {}


@pytest.mark.xdist_group("ceph")
def test_ceph_refuses_wrong_keys(ceph: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(CouldNotAskError, match="SignatureDoesNotMatch"):
        survey(ceph.store())
    with pytest.raises((CouldNotAskError, RefusedError)):
        ceph.store().require_writable([])


class Counted(S3Store):
    """A store that says which prefixes were listed, and after which effects."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.listed: list[str] = []

    def list(self, prefix: str, *, below: bool = True) -> Iterator[StoredObject]:
        """As the store does."""
        self.listed.append(prefix)
        return super().list(prefix, below=below)


@pytest.mark.parametrize(("fresh", "times"), [(60.0, 1), (0.0, 2)])
def test_what_was_listed_a_moment_ago_is_not_listed_again(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: float, times: int
) -> None:
    """Blobs once; manifests once more, after the index stopped listing what goes."""
    MadeMirror(tmp_path / "made", "v3", TREE, now=time.time())
    bucket.fill(tmp_path / "made")
    store = Counted(parse_s3_url(f"s3://{bucket.name}/pre"), bucket.endpoint)
    monkeypatch.setattr(binaries, "FRESH_SECONDS", fresh)
    options = RunOptions(max_delete=100, has_quarantine=False)
    commands.clean(store, (RootSet("r", (dag_hash("new"),)),), CleanRules(max_age=30), options, lambda _: None, _no)
    assert store.listed.count("blobs/") == times
    assert sum(one.startswith("v3/") and "index" not in one for one in store.listed) == 1 + times
    _require_right(bucket, NEW)


def test_a_blob_that_is_pushed_while_all_are_listed_is_there(bucket: Bucket, tmp_path: Path) -> None:
    """Manifests and blobs are listed at the same time; a push comes between them."""
    MadeMirror(tmp_path / "made", "v3", TREE, now=time.time())
    bucket.fill(tmp_path / "made")

    class Late(S3Store):
        def list(self, prefix: str, *, below: bool = True) -> Iterator[StoredObject]:
            found = list(super().list(prefix, below=below))
            return iter(found[1:] if prefix == "blobs/" else found)

    inventory = survey(Late(parse_s3_url(f"s3://{bucket.name}/pre"), bucket.endpoint)).inventory
    assert all(entry.is_whole for entry in inventory.entries)
    assert inventory.usable == {dag_hash(spec.name) for spec in TREE}
