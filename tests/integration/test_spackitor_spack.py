"""What a real Spack makes of a mirror that was cleaned. `SPACKTAINERS_SPACK_ROOT` names one; without it, skipped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from foundation.registries.changes import ChangeableRepository
from foundation.registries.mirror_store import RegistryStore
from foundation.spack.index import Index
from foundation.stores.folder import FileSystemStore
from spackitor.__main__ import main
from spackitor.commands import CleanRules
from spackitor.inventory.roots import RootSet
from spackitor.removal.indexes import add_what_is_new, make_indexes_fit, write_indexes
from spackitor.removal.recovery import restore
from spackitor.survey.survey import survey
from tests.integration.real_spack import recipes
from tests.integration.recorded_cache import RegistryCache
from tests.integration.registry_server import collect_garbage, run_registry
from tests.unit.spackitor.cleaning import run_clean
from tests.unit.spackitor.mirrors import LayoutName, Made, MadeMirror, listed, recorded, require_consistent

KEPT = {"app-y", "libc-toy", "liba"}


class Spack:
    """A Spack that sees one mirror, and keeps what it writes in a folder of its own."""

    def __init__(
        self, root: Path, home: Path, mirror: Path | str, repository: Path | None = None, *, view: str = ""
    ) -> None:
        self._program, self._home = root / "bin" / "spack", home
        scope = home / "scope"
        scope.mkdir(parents=True)
        url = mirror if isinstance(mirror, str) else f"file://{mirror}"
        settings = {"url": url, **({"view": view} if view else {})}
        (scope / "mirrors.yaml").write_text(json.dumps({"mirrors": {"one": settings}}))
        tree = home / "opt"
        (scope / "config.yaml").write_text(f"config:\n  install_tree:\n    root: {tree}\n")
        if repository:
            (scope / "repos.yaml").write_text(f"repos:\n- {repository}\n")
        self._scope = scope

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SPACK_ENV")},
            "SPACK_DISABLE_LOCAL_CONFIG": "1",
            "SPACK_USER_CACHE_PATH": str(self._home / "cache"),
            "PATH": "/usr/bin:/bin",
        }
        argv = [str(self._program), "-C", str(self._scope), *arguments]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: str) -> str:
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def listed(self) -> set[str]:
        """The names of what it finds in the mirror."""
        return set(re.findall(r"^([a-z][a-z0-9-]*)@", self("buildcache", "list", "--allarch"), re.MULTILINE))


@pytest.fixture(name="root")
def root_fixture(components: None) -> Path:
    root = os.environ.get("SPACKTAINERS_SPACK_ROOT")
    if not root:
        pytest.skip("SPACKTAINERS_SPACK_ROOT is not set")
    return Path(root)


@pytest.fixture(name="layout")
def layout_fixture(root: Path) -> LayoutName:
    """What this Spack writes."""
    done = subprocess.run([root / "bin/spack", "--version"], capture_output=True, text=True, check=True)
    return "v2" if done.stdout.startswith("0.") else "v3"


def hash_of(store: FileSystemStore, name: str) -> str:
    return next(hash_ for hash_, spec in survey(store).inventory.specs.items() if spec.name == name)


def test_spack_lists_and_installs_from_a_cleaned_mirror(root: Path, layout: LayoutName, tmp_path: Path) -> None:
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    store = FileSystemStore(mirror)
    wanted = hash_of(store, "app-y")
    repository = recipes(mirror, tmp_path / "recipes")
    run_clean(store, roots=(RootSet("r", (wanted,)),))
    spack = Spack(root, tmp_path / "cleaned", mirror, repository)
    assert spack.listed() == KEPT
    spack("install", "--cache-only", "--no-check-signature", f"/{wanted}")
    assert set(re.findall(r"^([a-z][a-z0-9-]*)@", spack("find", "--format", "{name}@{version}"), re.MULTILINE)) == KEPT
    if layout == "v3":  # older ones only look for spec files without signature
        spack("buildcache", "check", "--mirror-url", f"file://{mirror}", f"/{wanted}")
    restore(store, None)
    assert len(Spack(root, tmp_path / "restored", mirror).listed()) == 9


def test_spack_lists_and_installs_from_a_cleaned_registry(
    root: Path, layout: LayoutName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if layout == "v2":
        pytest.skip("the recorded cache in a registry is that of a newer Spack")
    repository = recipes(recorded(layout, tmp_path / "mirror", now=time.time()), tmp_path / "recipes")
    with run_registry(tmp_path, tls=True) as registry:
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(registry.certificate))
        cache = RegistryCache(registry, "site/cache")
        cache.put_all(pushed="2026-01-01T00:00:00+00:00")
        store = RegistryStore(ChangeableRepository(cache.url))
        specs = survey(store).inventory.specs
        wanted = next(hash_ for hash_, spec in specs.items() if spec.name == "app-y")
        run_clean(store, roots=(RootSet("r", (wanted,)),))
        collect_garbage(tmp_path)
        spack = Spack(root, tmp_path / "cleaned", cache.url, repository)
        assert spack.listed() == KEPT
        spack("install", "--cache-only", "--no-check-signature", f"/{wanted}")
        spack("buildcache", "update-index", cache.url)
        (index,) = survey(store).inventory.indexes
        assert index.index
        assert {specs[hash_].name for hash_ in index.index.listed} == KEPT
        restore(store, None)
        assert len(Spack(root, tmp_path / "restored", cache.url).listed()) == 9
        cache.close()


def test_spack_writes_the_same_index(root: Path, layout: LayoutName, tmp_path: Path) -> None:
    """`update-index` after cleaning finds what our index lists, record for record."""
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    store = FileSystemStore(mirror)
    wanted = hash_of(store, "app-z")
    run_clean(store, roots=(RootSet("r", (wanted,)),))
    (ours,) = survey(store).inventory.indexes
    Spack(root, tmp_path / "home", mirror)("buildcache", "update-index", f"file://{mirror}")
    (theirs,) = survey(store).inventory.indexes
    assert ours.index is not None
    assert theirs.index is not None
    assert json.loads(ours.index.text) == json.loads(theirs.index.text)
    require_consistent(mirror)


def test_what_is_pushed_comes_into_the_index_as_spack_would_write_it(
    root: Path, layout: LayoutName, tmp_path: Path
) -> None:
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    store = FileSystemStore(mirror)
    inventory = survey(store).inventory
    write_indexes(store, inventory, {hash_of(store, "app-z"), hash_of(store, "liba")})
    assert len(listed(store)[inventory.indexes[0].key]) == 2
    add_what_is_new(store)
    (ours,) = survey(store).inventory.indexes
    spack = Spack(root, tmp_path / "home", mirror)
    assert spack.listed() == {inventory.specs[hash_].name for hash_ in inventory.usable}
    spack("buildcache", "update-index", f"file://{mirror}")
    (theirs,) = survey(store).inventory.indexes
    assert ours.index is not None
    assert theirs.index is not None
    assert json.loads(ours.index.text) == json.loads(theirs.index.text)


def test_spack_installs_after_what_was_pushed_came_into_the_index_and_a_view(
    root: Path, layout: LayoutName, tmp_path: Path
) -> None:
    """A Spack that knows no views reads the main index beside them."""
    if layout == "v2":
        pytest.skip("this layout has no views")
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    store = FileSystemStore(mirror)
    repository = recipes(mirror, tmp_path / "recipes")
    (file,) = survey(store).inventory.indexes
    assert file.index is not None
    wanted = hash_of(store, "app-y")
    lock = environment(tmp_path / "environment", file.index, wanted) / "spack.lock"
    write_indexes(store, survey(store).inventory, {hash_of(store, "liba")})
    done = CliRunner().invoke(main, ["index", str(mirror), "--view", "prod", "-e", str(lock)], obj={})
    assert done.exit_code == 0, done.output
    inventory = survey(store).inventory
    assert {inventory.specs[hash_].name for hash_ in inventory.views["prod"]} == KEPT
    spack = Spack(root, tmp_path / "home", mirror, repository)
    assert spack.listed() == {inventory.specs[hash_].name for hash_ in inventory.usable}
    spack("install", "--cache-only", "--no-check-signature", f"/{wanted}")
    assert set(re.findall(r"^([a-z][a-z0-9-]*)@", spack("find", "--format", "{name}@{version}"), re.MULTILINE)) == KEPT
    spack("buildcache", "update-index", f"file://{mirror}")
    assert set(survey(store).inventory.views) == {"prod"}


def test_spack_reads_an_index_of_specs_from_before(root: Path, layout: LayoutName, tmp_path: Path) -> None:
    """A migrated mirror: spec files of version 4 in layout v3, so that their nodes are upgraded."""
    if layout == "v2":
        pytest.skip("this Spack writes layout v2")
    specs = (Made("zlib", age=9), Made("bzip2", ["zlib"], age=9))
    mirror = MadeMirror(tmp_path / "mirror", "v3", specs, now=time.time(), specfile=4, signed=False, has_index=False)
    make_indexes_fit(FileSystemStore(mirror.root))
    assert Spack(root, tmp_path / "home", mirror.root).listed() == {"zlib", "bzip2"}


def test_the_quarantine_is_invisible_to_spack(root: Path, layout: LayoutName, tmp_path: Path) -> None:
    if layout == "v2":
        pytest.skip("this Spack has no 'buildcache prune'")
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    store = FileSystemStore(mirror)
    run_clean(store, roots=(RootSet("r", (hash_of(store, "app-y"),)),))
    kept = tmp_path / "keep"
    kept.write_text("\n".join(sorted(survey(store).inventory.usable)))
    spack = Spack(root, tmp_path / "home", mirror)
    spack("buildcache", "prune", "--dry-run", "--keeplist", str(kept), "one")
    spack("buildcache", "update-index", f"file://{mirror}")
    assert spack.listed() == KEPT


def environment(folder: Path, index: Index, root: str) -> Path:
    """An environment with one root, out of what an index knows."""
    nodes = {hash_: json.loads(index.text[one.start : one.end])["spec"] for hash_, one in index.records.items()}
    needed = [root]
    for hash_ in needed:
        needed += [one for one in index.records[hash_].spec.counted if one not in needed]
    lock = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": [{"hash": root, "spec": index.records[root].spec.name}],
        "concrete_specs": {hash_: nodes[hash_] for hash_ in needed},
    }
    folder.mkdir()
    (folder / "spack.yaml").write_text(f"spack: {{specs: [{index.records[root].spec.name}]}}\n")
    (folder / "spack.lock").write_text(json.dumps(lock))
    return folder


def test_environments_stay_in_the_view_that_spack_appends_them_to(
    root: Path, layout: LayoutName, tmp_path: Path
) -> None:
    """A mirror that has a view and no main index, cleaned after each environment that comes into it."""
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    store = FileSystemStore(mirror)
    repository = recipes(mirror, tmp_path / "recipes")
    spack = Spack(root, tmp_path / "home", mirror, repository, view="prod")
    if layout == "v2" or "--append" not in spack("buildcache", "update-index", "--help"):
        pytest.skip("this Spack has no views")
    (file,) = survey(store).inventory.indexes
    assert file.index is not None
    first, second = (environment(tmp_path / name, file.index, hash_of(store, name)) for name in ("app-y", "app-z"))
    (mirror / file.key).unlink()
    (mirror / file.blob).unlink()
    everything = survey(store).inventory.usable
    spack("buildcache", "update-index", "--name", "prod", "one", str(first))
    assert run_clean(store, CleanRules()).plan.removals == ()
    spack("buildcache", "update-index", "--yes-to-all", "--append", "--name", "prod", "one", str(second))
    assert run_clean(store, CleanRules()).plan.removals == ()
    inventory = survey(store).inventory
    assert inventory.usable == everything
    assert not (mirror / file.key).exists()
    both = {inventory.specs[hash_].name for hash_ in inventory.views["prod"]}
    assert {"app-y", "app-z"} < both
    assert Spack(root, tmp_path / "both", mirror, view="prod").listed() == both
    run_clean(store, roots=(RootSet("r", (hash_of(store, "app-y"),)),))
    assert Spack(root, tmp_path / "cleaned", mirror, view="prod").listed() == KEPT
    spack("buildcache", "check-index", "--verify", "all", "--name", "prod", "one")
    restore(store, None)
    assert Spack(root, tmp_path / "restored", mirror, view="prod").listed() == both
