"""What people name, and what lies under that name: nothing is taken for something else."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from foundation.errors import CouldNotAskError, NotThereError, RefusedError
from foundation.spack.program import SpackProgram
from foundation.spack.releases import SpackLine
from foundation.spack.source_needs import PackageNeeds, Source, SourceKind
from foundation.stores.folder import FileSystemStore
from foundation.stores.store import STAGING_FOLDER
from job_creator.mirrors import sharing
from job_creator.mirrors.bundles.folder import look
from job_creator.mirrors.configuration.holdings import configuration
from job_creator.mirrors.filling import recipes
from job_creator.mirrors.filling.destinations import FolderDestination
from job_creator.mirrors.filling.opening import open_destination
from job_creator.mirrors.filling.pushes import require_s3
from job_creator.mirrors.filling.recipes import WantedCommit
from job_creator.mirrors.filling.sources import tidy
from job_creator.mirrors.needs.locks import Repository, find_locks
from job_creator.mirrors.needs.plan import MirrorItem, Status
from job_creator.mirrors.needs.sizes import remote_sizes
from job_creator.mirrors.permissions import Permissions
from tests.programs import write_program
from tests.unit.spackitor.mirrors import LAYOUTS, LayoutName, Made, MadeMirror


def named(folder: Path, *wanted: str) -> None:
    find_locks(wanted, Repository(folder, "spacktainers.yaml", {}), SpackProgram("/nowhere"), everything=False)


def test_a_folder_or_a_manifest_is_never_taken_for_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hdf5").mkdir()
    with pytest.raises(NotThereError, match=r"hdf5/spack.lock: .*concretize the environment first.*say hdf5@:"):
        named(tmp_path, "hdf5")
    manifest = tmp_path / "hdf5" / "spack.yaml"
    manifest.write_text("spack: {specs: [hdf5]}\n")
    with pytest.raises(NotThereError, match=r"spack.yaml: is no lockfile; concretize it first"):
        named(tmp_path, str(manifest))
    (tmp_path / "hdf5" / "spack.lock").touch()
    with pytest.raises(NotThereError, match=r"spack.yaml: is no lockfile; name .*hdf5/spack.lock"):
        named(tmp_path, str(manifest))


def test_a_name_of_an_environment_is_not_taken_for_that_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import sys\nassert sys.argv[1:] == ['location', '-e', 'hdf5'], sys.argv\nprint('/spack/env/hdf5')\n"
    write_program(tmp_path / "spack", code)
    spack = SpackProgram(str(tmp_path / "spack"))
    with pytest.raises(RefusedError, match=r"say /spack/env/hdf5/spack.lock if that is meant, or hdf5@: for the pack"):
        find_locks(("hdf5",), Repository(tmp_path, "spacktainers.yaml", {}), spack, everything=False)


def test_a_python_that_cannot_write_to_buckets_is_found_first(tmp_path: Path) -> None:
    spack = SpackProgram(str(tmp_path / "spack"))
    for code, error, said in (
        ("raise ModuleNotFoundError(\"No module named 'boto3'\")", NotThereError, "its Python has no boto3"),
        ("raise SystemExit('broken')", CouldNotAskError, "broken"),
    ):
        write_program(tmp_path / "spack", f"{code}\n")
        require_s3(spack, "/a/folder")
        with pytest.raises(error, match=said):
            require_s3(spack, "s3://bucket/mirror")
    write_program(tmp_path / "spack", "")
    require_s3(spack, "s3://bucket/mirror")


def test_an_empty_folder_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / ".spackitor").mkdir()
    (tmp_path / ".spackitor/note").touch()
    with pytest.raises(NotThereError, match="is it the right folder"):
        look(tmp_path)


def test_files_say_how_large_they_are(tmp_path: Path) -> None:
    (tmp_path / "a b.tar.gz").write_bytes(b"12345")
    url = (tmp_path / "a b.tar.gz").as_uri()
    source = Source(SourceKind.ARCHIVE, (url,), "", "_source-cache/a")
    package = PackageNeeds("h", "", "a", "1", "builtin", (source,))
    item = MirrorItem(path="_source-cache/a", packages=(package,), status=Status.MISSING, source=source)
    assert remote_sizes([item]) == {"_source-cache/a": 5}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_users_of_an_unsigned_mirror_are_told_nothing_that_cannot_work(tmp_path: Path, layout: LayoutName) -> None:
    root = MadeMirror(tmp_path / "mirror", layout, (Made("a"),), now=time.time(), signed=False).root

    def configured(*, is_signed: bool) -> object:
        line = SpackLine(1, 1)
        return configuration(str(root), None, {}, line, is_signed=is_signed, only_this=True).files["mirrors.yaml"]

    with pytest.raises(RefusedError, match=r"none of its binaries is signed.*--unsigned"):
        configured(is_signed=True)
    assert "'signed': False" in str(configured(is_signed=False))
    MadeMirror(root, layout, (Made("b"),), now=time.time(), signed=True)
    assert "'signed': True" in str(configured(is_signed=True))


def test_recipes_come_from_a_clone_of_another_mirror(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")

    def git(folder: Path, *arguments: str) -> str:
        command = ["git", *identity, "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git(first, "init", "--quiet", "--initial-branch=main")
    git(first, "commit", "--quiet", "--allow-empty", "-m", "a")
    commit = git(first, "rev-parse", "HEAD")
    assert recipes.put(tmp_path / "one", [WantedCommit("recipes/spack.git", first, commit)]) == {}
    subprocess.run(["git", "clone", "--quiet", tmp_path / "one/recipes/spack.git", tmp_path / "second"], check=True)
    assert recipes.put(tmp_path / "other", [WantedCommit("recipes/spack.git", tmp_path / "second", commit)]) == {}
    assert git(tmp_path / "other/recipes/spack.git", "rev-parse", f"lock-{commit}") == commit


def test_nothing_private_stays_behind_and_looking_does_not_need_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        root = tmp_path / "mirror"
        root.mkdir(mode=0o755)
        root.chmod(0o775)
        destination = open_destination(str(root), None, {}, None, tmp_path / "cache")
        assert isinstance(destination, FolderDestination)
        (destination.staging / "half").write_bytes(b"x")
        assert destination.staging.stat().st_mode & 0o777 == 0o775
        assert [one.key for one in FileSystemStore(root).list("")] == []
        found = frozenset(sharing.entries(root))
        assert not [path for path in found if path.name == "half"]
        # What another program writes under this umask.
        (root / "v3/manifests").mkdir(parents=True)
        (root / "v3/manifests/key").write_bytes(b"")
        sharing.adopt(root, found, Permissions())
    finally:
        os.umask(before)
    assert (root / "v3/manifests/key").stat().st_mode & 0o777 == 0o664
    assert (root / "v3/manifests").stat().st_mode & 0o777 == 0o775
    tidy(destination.staging)
    assert not (root / STAGING_FOLDER).exists()
