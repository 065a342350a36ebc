"""The command line."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.command_line import Size
from foundation.errors import ExitCode
from spackitor.__main__ import main
from spackitor.policy.verdicts import DAY
from tests.unit.spackitor.mirrors import LAYOUTS, LayoutName, Made, MadeMirror, dag_hash, recorded

TREE = (
    Made("app", ["lib"], age=100),
    Made("lib", age=100),
    Made("new", age=2),
    Made("more", age=2),
)


def spackitor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["-q", *map(str, arguments)])


@pytest.fixture(name="mirror", params=LAYOUTS)
def mirror_fixture(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    layout: LayoutName = request.param
    return MadeMirror(tmp_path / "mirror", layout, TREE, now=time.time()).root


def test_the_call_of_the_pipeline(mirror: Path, tmp_path: Path) -> None:
    from tests.spack_ci import lockfile

    locks = []
    for name in ("one", "two"):
        lock = tmp_path / name / "spack.lock"
        lock.parent.mkdir()
        lock.write_bytes(lockfile({name: []}))
        locks += ["-e", str(lock)]
    arguments = ["clean", str(mirror), "--max-age", "30", *locks, "--max-delete", "50"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    # Plain lines where there is no terminal.
    assert done.stderr.splitlines() == ["writing indexes: 1 of 1", "removing specs: 2 of 2"]
    assert "2 of 4 specs go, 2 stay" in done.stdout
    assert "2 specs removed" in done.stdout
    assert "requests: " in done.stdout


def test_every_command_has_examples() -> None:
    for name, command in main.commands.items():
        text = spackitor(name, "--help").stdout
        assert "Example" in text, name
        assert command.help


def test_the_brake_has_its_exit_code(mirror: Path) -> None:
    done = spackitor("clean", mirror, "--max-age", "1")
    assert done.exit_code == ExitCode.REFUSED
    assert "4 of 4 specs would go (100%), more than --max-delete 30 allows: 4 too old and in no use" in done.stderr


def test_list_and_stats(mirror: Path) -> None:
    assert [line.split()[0] for line in spackitor("list", mirror).stdout.splitlines()] == [
        "PACKAGE",
        "app",
        "lib",
        "more",
        "new",
    ]
    assert [one["hash"] for one in json.loads(spackitor("list", mirror, "a*", "--json").stdout)] == [dag_hash("app")]
    value = json.loads(spackitor("stats", mirror, "--by", "age", "--json").stdout)
    assert {one["name"]: one["specs"] for one in value["groups"]} == {"up to 1 week": 2, "up to 1 year": 2}
    assert sum(one["size"] for one in value["groups"]) == value["bytes"]
    for by in ("package", "version", "target"):
        assert "4 specs" in spackitor("stats", mirror, "--by", by).stdout


def test_a_purge_is_shown_as_a_tree(mirror: Path) -> None:
    done = spackitor("purge", mirror, "lib", "--dependents", "--dry-run", "--max-delete", "100")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"lib@1.0/{dag_hash('lib')[:7]}  ")
    assert lines[1].startswith(f"  app@1.0/{dag_hash('app')[:7]}  ")
    assert spackitor("purge", mirror, "lib").exit_code == ExitCode.REFUSED


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_nobody_signed_is_found_and_removed(tmp_path: Path, layout: LayoutName) -> None:
    made = MadeMirror(tmp_path / "mirror", layout, TREE, now=time.time())
    mirror = made.root
    assert spackitor("purge", mirror).exit_code == ExitCode.USAGE
    assert "0 of 4 specs go" in spackitor("purge", mirror, "--unsigned").stdout
    made.signed = False
    for bare in (Made("bare"), Made("user", ["bare"], age=2)):
        made.specs[bare.name] = bare
        made.push(bare)
    made.signed = True
    signed = Made("caller", ["bare"], age=2)
    made.specs["caller"] = signed
    made.push(signed)
    made.write_index()

    def found() -> list[str]:
        findings = json.loads(spackitor("check", mirror, "--json").stdout)
        return [one["what"] for one in findings if one["kind"] == "unsigned"]

    assert len(found()) == 2
    options = ("--unsigned", "--max-delete", "100")
    shown = spackitor("purge", mirror, *options, "--dry-run")
    assert (shown.exit_code, "is not signed" in shown.stdout) == (0, True)
    assert len(found()) == 2
    # Neither roots, nor their age, nor what needs them keeps what nobody can install; and nothing else goes.
    assert spackitor("keep", mirror, "caller", "--as", "main").exit_code == 0
    assert spackitor("purge", mirror, *options).exit_code == 0
    left = {one["name"] for one in json.loads(spackitor("list", mirror, "--json").stdout)}
    assert (left, found()) == ({"app", "lib", "new", "more", "caller"}, [])
    assert spackitor("purge", mirror, *options).exit_code == 0
    assert spackitor("restore", mirror).exit_code == 0
    assert len(found()) == 2


def test_roots_are_kept_listed_and_forgotten(mirror: Path, tmp_path: Path) -> None:
    keep_file = tmp_path / "keep"
    keep_file.write_text(dag_hash("app"))
    assert spackitor("keep", mirror, "--as", "x").exit_code == ExitCode.USAGE
    assert spackitor("keep", mirror, "--keep-file", keep_file, "--as", "x", "--for", "14").exit_code == 0
    assert spackitor("roots", mirror).stdout.splitlines()[1].startswith("x     1")
    assert "0 of 4 specs go" in spackitor("clean", mirror, "--max-age", "30").stdout
    assert spackitor("forget", mirror).exit_code == ExitCode.USAGE
    assert spackitor("forget", mirror, "x").stdout == "x: forgotten\n"
    assert spackitor("forget", mirror, "x").exit_code == ExitCode.NOT_THERE


def test_runs_are_listed_and_undone(mirror: Path) -> None:
    assert spackitor("restore", mirror).exit_code == ExitCode.NOT_THERE
    assert spackitor("clean", mirror, "--max-age", "30", "--max-delete", "100").exit_code == 0
    assert "clean    2" in spackitor("restore", mirror, "--list").stdout
    assert spackitor("restore", mirror).stdout.startswith("2 specs of run ")
    done = spackitor("check", mirror)
    assert done.exit_code == 0
    assert "nothing is wrong with its" in done.stdout


def test_the_quarantine_is_emptied(mirror: Path) -> None:
    spackitor("clean", mirror, "--max-age", "30", "--max-delete", "100")
    before = len(list(mirror.rglob("*")))
    assert spackitor("empty-quarantine", mirror).exit_code == 0
    assert len(list(mirror.rglob("*"))) == before
    assert spackitor("empty-quarantine", mirror, "--all", "--dry-run").exit_code == 0
    assert spackitor("empty-quarantine", mirror, "--all", "--json").exit_code == 0
    assert not [path for path in mirror.rglob("*") if path.is_file() and dag_hash("app") in path.name]
    assert spackitor("restore", mirror).exit_code == ExitCode.NOT_THERE


@pytest.mark.parametrize("layout", LAYOUTS)
def test_recorded_mirrors_are_sound(tmp_path: Path, layout: LayoutName) -> None:
    root = recorded(layout, tmp_path / "mirror", now=time.time())
    done = spackitor("check", root, "--deep", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == []


def test_check_finds_what_is_wrong(tmp_path: Path) -> None:
    specs = (
        Made("whole", age=9),
        Made("unlisted", age=9, is_listed=False),
        Made("cut", age=9),
        Made("needs", ["hole", "ext"], age=9),
        Made("hole", is_cached=False),
        Made("ext", is_cached=False, is_external=True),
    )
    mirror = MadeMirror(tmp_path / "mirror", "v3", specs, now=time.time())
    mirror.signed = False
    mirror.push(specs[0])
    mirror.put("blobs/sha256/ab/abcd", b"orphan", 9)
    manifest = json.loads(
        next(mirror.root.rglob(f"*{dag_hash('cut')}*")).read_text().partition("\n\n")[2].partition("\n-----")[0]
    )
    checksum = manifest["data"][0]["checksum"]
    (mirror.root / f"blobs/sha256/{checksum[:2]}/{checksum}").unlink()
    done = spackitor("check", mirror.root)
    assert done.exit_code == ExitCode.DAMAGED
    kinds = {line.partition(":")[0] for line in done.stdout.splitlines()}
    assert kinds == {"index", "broken", "orphan", "unsigned", "dependency"}
    for text in (
        f"does not list unlisted@1.0/{dag_hash('unlisted')[:7]}",
        f"lists cut@1.0/{dag_hash('cut')[:7]}, which is not in the cache",
        f"needs hole@1.0/{dag_hash('hole')[:7]}, which is not in the cache",
        "blobs/sha256/ab/abcd: a blob that no manifest leads to",
        "is not signed, others are; see spackitor purge --unsigned",
    ):
        assert text in done.stdout
    assert "ext@" not in done.stdout
    assert spackitor("check", mirror.root, "--fix").exit_code == ExitCode.DAMAGED
    assert "index:" not in spackitor("check", mirror.root).stdout


def test_check_mends_the_index(mirror: Path) -> None:
    checksum = mirror / "build_cache/index.json.hash"
    if checksum.exists():
        checksum.write_text("0" * 64)
    else:
        MadeMirror(mirror, "v3", TREE[:2], now=time.time())
    assert "index:" in spackitor("check", mirror).stdout
    spackitor("check", mirror, "--fix")
    assert "index:" not in spackitor("check", mirror).stdout
    assert spackitor("reindex", mirror).stdout == "4 specs are in the index\n"


def test_checking_deeply_compares_checksums_and_looks_at_padding(tmp_path: Path) -> None:
    mirror = MadeMirror(tmp_path / "mirror", "v3", (), now=time.time(), signed=False)
    records = {}
    for name, prefix in {"short": "/opt", "long": "/opt/__spack_path_placeholder__/__spack_path_pl"}.items():
        spec = Made(name, age=9)
        mirror.specs[name] = spec
        text = json.dumps(mirror.spec_file(spec, b"")).encode()
        records[name] = mirror.blob(archive(prefix), "application/vnd.spack.install.v2.tar+gzip", 9)
        data = [records[name], mirror.blob(gzip.compress(text), "application/vnd.spack.spec.v5+json", 9)]
        mirror.put(mirror.manifest_key(spec), json.dumps({"version": 3, "data": data}).encode(), 9)
    mirror.write_index()
    done = spackitor("check", mirror.root, "--deep")
    assert done.stdout.count("padding:") == 1
    assert "was installed to /opt, without padding; others have it" in done.stdout
    checksum = records["short"]["checksum"]
    blob = mirror.root / f"blobs/sha256/{checksum[:2]}/{checksum}"
    blob.write_bytes(bytes(len(blob.read_bytes())))
    assert "has the sha256" in spackitor("check", mirror.root, "--deep").stdout
    blob.write_bytes(b"cut")
    assert "has 3 bytes, not" in spackitor("check", mirror.root).stdout


def archive(prefix: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        content = f"{{buildpath: {prefix}, relative_prefix: x}}".encode()
        member = tarfile.TarInfo("opt/x/.spack/binary_distribution")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "size"), [("500", 500), ("1k", 1000), ("1KiB", 1024), ("1.5GiB", 3 << 29), ("2T", 2 * 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


def test_wrong_urls_and_sizes_are_usage_errors(tmp_path: Path) -> None:
    for arguments in (("list", "oci://host"), ("list", "s3://-"), ("clean", tmp_path, "--max-size", "big")):
        assert spackitor(*arguments).exit_code == ExitCode.USAGE
    assert spackitor("list", tmp_path / "nothing").exit_code == ExitCode.NOT_THERE


def test_age_is_told_in_days(tmp_path: Path) -> None:
    root = MadeMirror(tmp_path / "m", "v2", (Made("a", age=3),), now=time.time() - DAY).root
    assert json.loads(spackitor("list", root, "--json").stdout)[0]["age_days"] == pytest.approx(4, abs=0.01)
