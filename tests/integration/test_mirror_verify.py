"""`jc mirror verify` on mirrors that Spack wrote, whole and with every kind of damage; folders, buckets and the web."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import CouldNotAskError, ExitCode, NotThereError
from foundation.spack.lockfile import Lockfile, read_lockfile
from foundation.spack.specs import signed_text
from foundation.stores.bucket import S3Store
from foundation.stores.folder import FileSystemStore
from foundation.stores.s3_client import S3Location, s3_client
from foundation.stores.store import Store
from foundation.stores.web import HttpStore
from job_creator.__main__ import main
from job_creator.mirrors.findings import FindingKind, MirrorFinding, VerificationReport
from job_creator.mirrors.verification.whole_mirror import MirrorRules, verify
from spackitor.commands import RunOptions, RunOutcome, clean_sources
from spackitor.inventory.roots import roots_of_lockfile
from spackitor.removal.recovery import restore
from tests.fakes.http import Answer, LoopbackServer
from tests.integration.components import require
from tests.integration.s3_server import new_bucket, s3_environment_fixture, s3_url_fixture  # noqa: F401 - fixtures
from tests.unit.spackitor.cleaning import run_clean
from tests.unit.spackitor.mirrors import LAYOUTS, RECORDED, LayoutName
from tests.unit.spackitor.source_mirrors import Package, key_of, lockfile, sha256, write_sources

SIGNER = "9EE721CCD97E3821D94046C07D2B864358DE62A6"
KEY_BLOB = "blobs/sha256/00/00ff46643edffcbcb97cc0eb442ff7712a73233b7e218d7d01ff1107988f05fa"
SPECS = "v3/manifests/spec"
PACKAGES = (Package("bzip2", ["bzip2 1.0.8"]), Package("libffi", ["libffi 3.4.4", "a patch"], ["bzip2"]))


@pytest.fixture(autouse=True)
def _gpg(components: None) -> None:
    require("gpg")


def check(
    store: Store | Path, *locks: Lockfile, deep: bool = True, signed: bool = False, allowed: str = ""
) -> VerificationReport:
    rules = MirrorRules(deep, signed, frozenset([allowed] if allowed else []))
    opened = FileSystemStore(store) if isinstance(store, Path) else store
    return verify(opened, locks, rules, lambda *_: None)


def copy(tmp_path: Path, layout: LayoutName = "v3", *, signed: bool = True) -> Path:
    """A recorded mirror; without its signatures if so wanted."""
    root = tmp_path / layout
    shutil.copytree(RECORDED / f"layout-{layout}", root)
    for path in root.glob(f"{SPECS}/*/*") if not signed else ():
        path.write_text(signed_text(path.read_text()))
    return root


def found(report: VerificationReport) -> set[FindingKind]:
    return {one.kind for one in report.findings}


def only(report: VerificationReport) -> MirrorFinding:
    (finding,) = report.findings
    return finding


def manifest(root: Path, name: str) -> Path:
    (path,) = (root / SPECS / name).iterdir()
    return path


def blobs(root: Path, name: str) -> list[Path]:
    """The archive and the spec file of a spec."""
    value = json.loads(signed_text(manifest(root, name).read_text()))
    return [root / f"blobs/sha256/{one['checksum'][:2]}/{one['checksum']}" for one in value["data"]]


def lock_of(layout: str) -> Lockfile:
    """A lockfile of everything that a recorded mirror holds, made from its index."""
    places = (path for path in (RECORDED / f"layout-{layout}").rglob("*") if path.is_file())
    (index,) = (data for path in places if (data := path.read_bytes()).startswith(b'{"database"'))
    installs = json.loads(index)["database"]["installs"]
    value = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6},
        "roots": [{"hash": hash_, "spec": hash_} for hash_, one in installs.items() if one["in_buildcache"]],
        "concrete_specs": {hash_: one["spec"] for hash_, one in installs.items()},
    }
    return read_lockfile(json.dumps(value).encode(), "spack.lock")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_wrong_with_what_spack_wrote(layout: LayoutName, deep: bool) -> None:
    report = check(RECORDED / f"layout-{layout}", lock_of(layout), deep=deep, signed=True)
    assert report.findings == ()
    assert report.exit_code is ExitCode.OK
    assert report.counts["specs"] == report.counts["signed"] == {"v2": 10, "v3": 9}[layout]
    assert len(report.signers) == 1


FILES = {
    layout: sorted(str(one.relative_to(top)) for one in top.rglob("*") if one.is_file())
    for layout in LAYOUTS
    for top in [RECORDED / f"layout-{layout}"]
}


@pytest.mark.parametrize(("layout", "signed"), [("v2", True), ("v3", True), ("v3", False)])
def test_one_changed_byte_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, layout: LayoutName, signed: bool
) -> None:
    root = copy(tmp_path_factory.mktemp("mirror"), layout, signed=signed)
    assert check(root).exit_code is ExitCode.OK

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(FILES[layout]), st.integers(0), st.integers(1, 255))
    def one_byte(name: str, position: int, change: int) -> None:
        path = root / name
        before = path.read_bytes()
        changed = bytearray(before)
        changed[position % len(before)] ^= change
        path.write_bytes(changed)
        try:
            assert check(root).exit_code is ExitCode.DAMAGED, (name, position % len(before), change)
        finally:
            path.write_bytes(before)

    one_byte()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_file_is_looked_at(tmp_path: Path, layout: LayoutName) -> None:
    root = copy(tmp_path, layout)
    for name in FILES[layout]:
        before = (root / name).read_bytes()
        middle = len(before) // 2
        (root / name).write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        assert check(root).exit_code is ExitCode.DAMAGED, name
        (root / name).write_bytes(before)


def test_what_is_cut_off_is_found_without_reading_content(tmp_path: Path) -> None:
    root = copy(tmp_path)
    archive, _ = blobs(root, "liba")
    archive.write_bytes(archive.read_bytes()[:-1])
    assert only(check(root, deep=False)).kind is FindingKind.SIZE
    archive.unlink()
    report = check(root, deep=False)
    assert only(report).kind is FindingKind.MISSING
    assert report.exit_code is ExitCode.NOT_READY


def test_an_index_that_does_not_fit_is_damage(tmp_path: Path) -> None:
    root = copy(tmp_path)
    archive, spec_file = blobs(root, "lonely")
    path = manifest(root, "lonely")
    text = path.read_bytes()
    path.unlink()
    report = check(root, deep=False)
    assert report.exit_code is ExitCode.DAMAGED
    assert found(report) == {FindingKind.INDEX, FindingKind.LEFT_OVER}
    path.write_bytes(text)
    (root / "v3/manifests/index/index.manifest.json").unlink()
    assert {FindingKind.MISSING, FindingKind.LEFT_OVER} == found(check(root, deep=False))
    assert archive.exists() == spec_file.exists()


def test_an_index_that_says_something_else_of_a_spec_is_found(tmp_path: Path) -> None:
    root = copy(tmp_path)
    path = root / "v3/manifests/index/index.manifest.json"
    value = json.loads(path.read_text())
    old = root / "blobs/sha256" / value["data"][0]["checksum"][:2] / value["data"][0]["checksum"]
    changed = old.read_text().replace('"name":"liba","version":"1.1"', '"name":"liba","version":"1.2"')
    value["data"][0] |= {"checksum": sha256(changed), "contentLength": len(changed)}
    new = root / "blobs/sha256" / sha256(changed)[:2] / sha256(changed)
    new.parent.mkdir(exist_ok=True)
    new.write_text(changed)
    path.write_text(json.dumps(value, indent=0, separators=(",", ":")))
    report = check(root)
    assert [one.package.partition("@")[0] for one in report.findings if one.kind is FindingKind.INDEX] == ["liba"]


def test_signatures_count_by_key(tmp_path: Path) -> None:
    root = copy(tmp_path)
    assert check(root, allowed=SIGNER).exit_code is ExitCode.OK
    report = check(root, allowed="A" * 40)
    assert found(report) == {FindingKind.SIGNATURE}
    assert len(report.findings) == 9
    assert f"is signed by {SIGNER}" in report.findings[0].message


def test_an_unsigned_spec_among_signed_ones_is_found(tmp_path: Path) -> None:
    root = copy(tmp_path)
    path = manifest(root, "lonely")
    path.write_text(signed_text(path.read_text()))
    report = check(root, deep=False)
    assert (only(report).kind, report.exit_code) == (FindingKind.UNSIGNED, ExitCode.DAMAGED)
    unsigned = copy(tmp_path / "other", signed=False)
    assert check(unsigned).exit_code is ExitCode.OK
    assert {one.kind for one in check(unsigned, signed=True).findings} == {FindingKind.UNSIGNED}


def test_a_key_that_is_not_there_is_missing(tmp_path: Path) -> None:
    root = copy(tmp_path)
    shutil.rmtree(root / "v3/manifests/key")
    report = check(root, deep=False)
    (finding,) = (one for one in report.findings if one.kind is FindingKind.MISSING)
    assert SIGNER in finding.message
    assert "9 specs" in finding.message
    assert report.exit_code is ExitCode.NOT_READY


def test_a_key_under_another_name_and_one_that_no_list_has(tmp_path: Path) -> None:
    root = copy(tmp_path)
    folder = root / "v3/manifests/key"
    (folder / f"{SIGNER}.key.manifest.json").rename(folder / f"{'A' * 40}.key.manifest.json")
    messages = " ".join(str(one) for one in check(root).findings)
    assert f"holds {SIGNER}" in messages
    assert f"lists the key {SIGNER}, which is not there" in messages
    assert f"does not list the key {'A' * 40}" in messages


@contextmanager
def own_keys() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """gpg with a key of its own; the path of its sockets has to be short."""
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        environment = {**os.environ, "GNUPGHOME": home}
        gpg = partial(subprocess.run, env=environment, capture_output=True, text=True, check=True)

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return gpg(["gpg", "--batch", *arguments])

        try:
            gpg(["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Somebody <a@b.org>", "ed25519", "sign"])
            yield run
        finally:
            gpg(["gpgconf", "--kill", "all"])


@pytest.mark.parametrize("armor", [True, False])
@pytest.mark.parametrize("name", ["secret.asc", ".spacktainers/backup", "bootstrap/notes/key"])
def test_a_private_key_in_a_mirror_is_found(tmp_path: Path, armor: bool, name: str) -> None:
    root = copy(tmp_path)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with own_keys() as gpg:
        gpg(*(["--armor"] if armor else []), "--output", str(path), "--export-secret-keys")
    report = check(root, deep=True)
    assert [one.key for one in report.findings if one.kind is FindingKind.PRIVATE_KEY] == [name]
    assert report.exit_code is ExitCode.DAMAGED


def test_a_private_key_where_a_public_one_should_be_is_found(tmp_path: Path) -> None:
    root = copy(tmp_path, "v2")
    with own_keys() as gpg:
        (path,) = (root / "build_cache/_pgp").glob("*.pub")
        gpg("--yes", "--armor", "--output", str(path), "--export-secret-keys")
    assert FindingKind.PRIVATE_KEY in found(check(root, deep=False))


def test_a_signature_by_a_key_that_only_looks_like_the_owners_is_bad(tmp_path: Path) -> None:
    """Signed anew by somebody else, whose key is put into the mirror as well."""
    root = copy(tmp_path, "v2")
    with own_keys() as gpg:
        path = next((root / "build_cache").glob("*liba*.sig"))
        text = tmp_path / "text"
        text.write_text(signed_text(path.read_text()))
        gpg("--yes", "--output", str(path), "--clearsign", str(text))
        fingerprint = gpg("--with-colons", "--list-keys").stdout.split("fpr:::::::::")[1][:40]
        gpg("--armor", "--output", str(root / f"build_cache/_pgp/{fingerprint}.pub"), "--export")
    (owner,) = (root / "build_cache/_pgp").glob("4B18*.pub")
    report = check(root, allowed=owner.stem)
    assert [one.message for one in report.findings if one.kind is FindingKind.SIGNATURE] == [
        f"is signed by {fingerprint}, which is none of those that may"
    ]
    assert set(check(root).signers) == {owner.stem, fingerprint}


@pytest.mark.parametrize("host", ["folder", "http"])
def test_the_missing_patch_is_named(tmp_path: Path, host: str) -> None:
    root = write_sources(tmp_path / "mirror", PACKAGES)
    assert check(root).exit_code is ExitCode.OK
    (root / key_of("a patch")).unlink()
    with served(root) as url:
        report = check(HttpStore(url) if host == "http" else root)
    assert report.exit_code is ExitCode.NOT_READY
    (finding,) = (one for one in report.findings if one.kind is FindingKind.MISSING)
    assert finding.package.startswith("libffi@1.0/")
    assert (finding.urls, finding.sha256) == (("https://example.org/libffi/1.tar.gz",), sha256("a patch"))
    if host == "folder":
        assert {one.key for one in report.findings if one.kind is FindingKind.LINK} == {"libffi/libffi-1.0-1.tar.gz"}


def test_sources_are_read_to_the_last_byte(tmp_path: Path) -> None:
    root = write_sources(tmp_path, PACKAGES)
    (root / key_of("bzip2 1.0.8")).write_text("bzip2 1.0.9")
    assert check(root, deep=False).exit_code is ExitCode.OK
    assert only(check(root)).key == key_of("bzip2 1.0.8")
    assert check(root).exit_code is ExitCode.DAMAGED
    (root / key_of("a patch")).unlink()
    assert check(root).exit_code is ExitCode.DAMAGED  # which wins


def test_repositories_are_checked_by_git(tmp_path: Path) -> None:
    root = write_sources(tmp_path / "mirror", PACKAGES)
    git = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    require("git")
    git(["git", "init", "--quiet", "work"])
    (tmp_path / "work" / "package.py").write_text("a recipe")
    git(["git", "-C", "work", "add", "."])
    who = ("-c", "user.name=a", "-c", "user.email=a@b.org")
    git(["git", "-C", "work", *who, "commit", "--quiet", "--message", "one"])
    git(["git", "clone", "--quiet", "--bare", "--no-local", "work", str(root / "recipes" / "packages.git")])
    assert found(check(root, deep=False)) == {FindingKind.NOT_CHECKED}
    assert check(root).findings == ()
    pack = next((root / "recipes/packages.git/objects").rglob("*.pack"))
    changed = bytearray(pack.read_bytes())
    changed[len(changed) // 2] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(changed)
    assert only(check(root)).key == "recipes/packages.git"
    assert check(root).exit_code is ExitCode.DAMAGED


def test_what_a_cleaning_left_is_no_fault(tmp_path: Path) -> None:
    root = copy(tmp_path)
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 1e7,) * 2)
    run_clean(FileSystemStore(root))
    assert (root / ".spackitor/quarantine").is_dir()
    report = check(root, deep=False)
    assert report.exit_code is ExitCode.OK
    assert found(report) == set(), "what can still be brought back is nothing too much"


def test_no_mirror_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotThereError, match="no mirror; there is nothing"):
        check(tmp_path)
    with pytest.raises(NotThereError, match="no such folder"):
        check(tmp_path / "nowhere")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server with a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_mirror_on_the_web_is_verified_without_a_listing(tmp_path: Path) -> None:
    root = copy(tmp_path)
    archive, _ = blobs(root, "app-x")
    with served(root) as url:
        report = check(HttpStore(url), lock_of("v3"), signed=True)
        assert report.findings == ()
        assert (report.counts["specs"], report.signers) == (9, (SIGNER,))
        data = archive.read_bytes()
        archive.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert only(check(HttpStore(url))).kind is FindingKind.CHECKSUM
        archive.unlink()
        report = check(HttpStore(url), lock_of("v3"))
        assert report.exit_code is ExitCode.NOT_READY
        assert any("app-x@1.0" in one.package for one in report.findings)
        with pytest.raises(NotThereError):
            check(HttpStore(f"{url}/elsewhere"))


def test_a_server_that_does_not_answer_is_not_an_empty_mirror() -> None:
    with LoopbackServer("127.0.0.1", lambda _: Answer(403)) as server, pytest.raises(CouldNotAskError, match="403"):
        check(HttpStore(server.url))
    with pytest.raises(CouldNotAskError, match="cannot connect"):
        check(HttpStore(server.url))


@pytest.fixture(name="bucket")
def bucket_fixture(s3_environment: str, tmp_path: Path) -> Callable[[Path], tuple[Store, Callable[[str, bytes], None]]]:
    """Puts a folder into a bucket."""
    client = s3_client(s3_environment)

    def fill(root: Path) -> tuple[Store, Callable[[str, bytes], None]]:
        name = new_bucket(client)

        def put(key: str, data: bytes) -> None:
            client.put_object(Bucket=name, Key=f"pre/{key}", Body=data)

        for path in root.rglob("*"):
            if path.is_file():
                put(str(path.relative_to(root)), path.read_bytes())
        return S3Store(S3Location(name, "pre"), s3_environment), put

    return fill


def test_a_bucket_is_verified_like_a_folder(
    tmp_path: Path, bucket: Callable[[Path], tuple[Store, Callable[[str, bytes], None]]]
) -> None:
    root = copy(tmp_path)
    write_sources(root, PACKAGES)
    store, put = bucket(root)
    report = check(store, lock_of("v3"), signed=True)
    assert report.findings == ()
    assert (report.counts["specs"], report.counts["sources"]) == (9, 3)
    put("bzip2/bzip2-1.0-0.tar.gz", b"on S3, readable names are copies")
    archive, _ = blobs(root, "liba")
    put(str(archive.relative_to(root)), gzip.compress(bytes(1000))[: archive.stat().st_size])
    report = check(store)
    assert {one.key for one in report.findings if one.kind is FindingKind.CHECKSUM} >= {"bzip2/bzip2-1.0-0.tar.gz"}
    assert str(archive.relative_to(root)) in {one.key for one in report.findings}
    assert report.exit_code is ExitCode.DAMAGED


def test_sources_in_a_bucket_are_cleaned_and_come_back(
    tmp_path: Path, bucket: Callable[[Path], tuple[Store, Callable[[str, bytes], None]]]
) -> None:
    store, _ = bucket(write_sources(copy(tmp_path), PACKAGES))
    kept = roots_of_lockfile(lockfile(PACKAGES, ["bzip2"]), "spack.lock")
    everything = {one.key for one in store.list("")}

    def clean() -> RunOutcome:
        options = RunOptions(min_age=0, max_delete=100)
        return clean_sources(store, (kept,), None, options, lambda _: None, lambda *_: None)

    assert {one.name for one in clean().plan.removals} == {"libffi"}
    assert clean().plan.is_empty
    gone = everything - {one.key for one in store.list("")}
    assert gone == {key_of("libffi 3.4.4"), key_of("a patch"), *(f"libffi/libffi-1.0-{n}.tar.gz" for n in (0, 1))}
    report = check(store)
    assert report.findings == ()
    assert restore(store, None).count == 2
    assert everything <= {one.key for one in store.list("")}
    assert check(store).counts["sources"] == 3


def test_the_command(tmp_path: Path) -> None:
    root = copy(tmp_path)
    write_sources(root, PACKAGES)
    invoke = CliRunner().invoke
    done = invoke(main, ["mirror", "verify", str(root), "--deep", "--signed", "--fingerprint", SIGNER.lower()])
    assert done.exit_code == 0, done.output
    assert "nothing is wrong (9 specs, 9 signed, 3 sources" in done.stdout
    assert f"signed by {SIGNER}" in done.stdout
    (root / key_of("a patch")).unlink()
    done = invoke(main, ["mirror", "verify", str(root), "--json"])
    assert done.exit_code == ExitCode.NOT_READY
    value = json.loads(done.stdout)
    assert (value["complete"], value["damaged"]) == (False, False)
    assert {one["kind"] for one in value["findings"]} == {"missing", "link"}
    (root / KEY_BLOB).write_text("no key")
    done = invoke(main, ["mirror", "verify", str(root)])
    assert done.exit_code == ExitCode.DAMAGED
    assert invoke(main, ["mirror", "verify", str(tmp_path / "nowhere")]).exit_code == ExitCode.NOT_THERE
    assert invoke(main, ["mirror", "verify", str(root), "--fingerprint", "58DE62A6"]).exit_code == ExitCode.REFUSED
    (tmp_path / "spack.lock").write_text("{}")
    done = invoke(main, ["mirror", "verify", str(root), "-e", str(tmp_path / "spack.lock")])
    assert done.exit_code == ExitCode.INVALID_INPUT
    assert invoke(main, ["mirror", "verify", str(root), "-e", "no.lock"]).exit_code == ExitCode.NOT_THERE
    (tmp_path / "spack.lock").write_bytes(lockfile((*PACKAGES, Package("zlib", ["zlib 1.3"])), ["libffi", "zlib"]))
    done = invoke(main, ["mirror", "verify", str(root), "-e", str(tmp_path), "--json"])
    missing = [one["package"].partition("@")[0] for one in json.loads(done.stdout)["findings"] if one["package"]]
    assert missing == ["libffi", "zlib"]
