"""What only Spack knows of building one package of the active environment: the phases of `build_packages.py`.

    spack python package_phases.py generate ARTIFACTS OUTPUT
    spack python package_phases.py look ANSWER KEYS HASH...
    spack python package_phases.py prepare HASH ANSWER [KEYS]
    spack python package_phases.py build HASH
    spack python package_phases.py push HASH ["built by others"]

`generate` is `spack ci generate` for whoever may not make views. HASH may be the first letters of a DAG hash. Together
the other phases do what `spack ci rebuild` does, with its variables, but for
one thing: what is in a build cache without signatures is not built again. `prepare` writes ANSWER, JSON, a list of the
state (`reused`, `skipped`, or empty if the package is to be built) and the reason.

`look` is for jobs in which other users prepare and build. It writes ANSWER, a JSON object: folders that Spack writes
to, `database`, `sources` and `folders`, those that prefixes lie in; `prefixes` by hash; `manifest`, the environment
without its views; and KEYS, the public keys that are trusted. A package that others built is then looked at before it
is pushed, and no recipe is read for that.

With `SPACKTAINERS_COLLECT`, kinds of what `collecting.py` collects, a package is built though a build cache has it;
`build` collects them into the folder `SPACKTAINERS_COLLECTED`, and `push` writes them beside the build cache.

This runs in Spack v0.21 to v1.2, so nothing of this project is imported here, and nothing of Spack before it is needed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PUSH_FAILED = 100
"""How `spack ci rebuild` ends where a package was built and could not be pushed."""
LETTERS = 7
"""Of a hash, where people read it."""


class NoRecipes:
    """Keeps this process from importing recipes."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        """What Python asks for each module that it has not imported yet."""
        if name.startswith(("spack.pkg.", "spack_repo.")):
            raise ImportError(f"{name}: no recipe is read where keys are")


def keep_recipes_out() -> None:
    """Import none from here on; where Spack cannot do without, this process ends."""
    sys.meta_path.insert(0, NoRecipes())
    bootstrap: Any = importlib.import_module("spack.bootstrap")
    # Before Spack looks for gpg, which is there, it looks at recipes of compilers.
    bootstrap.ensure_bootstrap_configuration = contextlib.nullcontext
    bootstrap.ensure_gpg_in_path_or_raise = lambda: None
    # All recipes together say what is virtual; in a lockfile nothing is.
    repositories = importlib.import_module("spack.repo").RepoPath
    for question in ("is_virtual", "is_virtual_safe"):
        setattr(repositories, question, lambda *_: False)


def look(file: str, keys: str, *hashes: str) -> int:
    """Write down where Spack has what, before anybody else works there."""
    keep_recipes_out()
    environment = importlib.import_module("spack.environment").active_environment()
    store = importlib.import_module("spack.store").STORE
    nodes = {node.dag_hash(): node for node in environment.all_specs() if not node.external}
    prefixes = {key: str(store.layout.path_for_spec(node)) for key, node in nodes.items()}
    sbang = Path(importlib.import_module("spack.hooks.sbang").sbang_install_path())
    sbang.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(importlib.import_module("spack.paths").sbang_script, sbang)
    gpg = importlib.import_module("spack.util.gpg")
    known = gpg.public_keys()
    if known:
        gpg.export_keys(keys, known)
    places = {
        "database": str(store.db.database_directory),
        "sources": importlib.import_module("spack.caches").fetch_cache_location(),
        "folders": sorted(folders_above(prefixes.values(), str(store.root))),
        "prefixes": {key: prefixes[key] for key in hashes},
        "manifest": without_views(environment),
    }
    Path(places["database"]).mkdir(parents=True, exist_ok=True)
    Path(file).write_text(json.dumps(places), encoding="utf-8")
    return 0


def folders_above(prefixes: Iterable[str], root: str) -> set[str]:
    """The install tree, and the folders in it in which prefixes lie."""
    above = {str(folder) for prefix in prefixes for folder in Path(prefix).parents}
    return {root, *(folder for folder in above if folder.startswith(f"{root}/"))}


def without_views(environment: Any) -> str:
    """The text of the environment, which makes no views."""
    yaml = importlib.import_module("spack.util.spack_yaml")
    content = yaml.load(Path(environment.manifest_path).read_text(encoding="utf-8"))
    section = content["spack"]
    for key in [key for key in section if key.rstrip(":+-") == "view"]:
        del section[key]
    section["view"] = False
    text = io.StringIO()
    yaml.dump(content, stream=text, default_flow_style=False)
    return text.getvalue()


def active_spec(letters: str) -> Any:
    """The concrete spec of the active environment. Raises what Spack raises."""
    return importlib.import_module("spack.environment").active_environment().get_one_by_hash(letters)


def prepare(letters: str, file: str, keys: str = "") -> int:
    """Look for the package, install its dependencies where it is not there, fetch its sources, and write the answer.

    KEYS are those that this user is to trust.
    """
    if keys and Path(keys).exists():
        importlib.import_module("spack.util.gpg").trust(keys)
    spec = active_spec(letters)
    anew = os.environ.get("SPACK_REBUILD_EVERYTHING", "").lower() == "true" or bool(collected_kinds())
    found = [] if anew else caches_with(spec)
    answer = ["", ""]
    if found:
        answer = ["reused", f"it is in {found[0]} already"]
    else:
        # Spack ends with 0 where a dependency is missing that nobody asked for by its name.
        code = install_dependencies(spec)
        lacking = "; ".join(not_installed(spec))
        if lacking or code != 0:
            answer = ["skipped", lacking or f"its dependencies could not be installed: exit code {code}"]
        elif keys:
            fetch(spec)
    Path(file).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def caches_with(spec: Any) -> list[str]:
    """The build caches that have the package, with a signature that is trusted where theirs count.

    From Spack 1.0 on, `spack ci rebuild` finds nothing in caches without signatures, and would build it again.
    """
    found = importlib.import_module("spack.binary_distribution").get_mirrors_for_spec(spec, index_only=False)
    urls = [one["mirror_url"] if isinstance(one, dict) else one.url for one in found]
    return urls or holders(spec, unsigned_only=True)


def holders(spec: Any, *, unsigned_only: bool) -> list[str]:
    """The build caches that hold files of the package, whoever signed them; registries are not asked."""
    needs_rebuild = importlib.import_module("spack.binary_distribution").needs_rebuild
    urls = [
        mirror.fetch_url
        for mirror in binary_mirrors()
        if not (unsigned_only and getattr(mirror, "signed", True)) and not mirror.fetch_url.startswith("oci")
    ]
    return [url for url in urls if not needs_rebuild(spec, url)]


def binary_mirrors() -> list[Any]:
    """The mirrors that may hold packages."""
    try:
        mirrors = importlib.import_module("spack.mirrors.mirror")
    except ImportError:  # before Spack 1.0
        mirrors = importlib.import_module("spack.mirror")
    return list(mirrors.MirrorCollection(binary=True).values())


def install_dependencies(spec: Any) -> int:
    """Install what the package needs from build caches, with the command of `spack ci rebuild`; its exit code."""
    arguments = ["--use-buildcache=package:never,dependencies:only", "--only=dependencies"]
    if not importlib.import_module("spack.ci").can_verify_binaries():
        arguments.append("--no-check-signature")
    command = ["spack", "--color=always", "install", *arguments, f"/{spec.dag_hash()}"]
    return subprocess.run(command, stdin=subprocess.PIPE, check=False).returncode  # noqa: S603


def fetch(spec: Any) -> None:
    """Fetch sources into Spack's own cache: whoever builds them has no keys of mirrors.

    What cannot be fetched is left to the build, which says why it fails, if it does.
    """
    error = importlib.import_module("spack.error").SpackError
    try:
        spec.package.do_fetch()
    except (error, OSError) as reason:
        sys.stderr.write(f"Not fetched before the build: {reason}\n")


def not_installed(spec: Any) -> Iterator[str]:
    """What keeps dependencies from being there, for each of those that lack none of their own."""
    used = ("link", "run")
    needed = {node.dag_hash(): node for direct in spec.dependencies() for node in direct.traverse(deptype=used)}
    lacking = {key: node for key, node in sorted(needed.items()) if not node.external and not node.installed}
    for one in lacking.values():
        if not any(below.dag_hash() in lacking for below in one.traverse(root=False, deptype=used)):
            found = holders(one, unsigned_only=False)
            fact = f"could not be installed from {found[0]}; is its signature trusted?" if found else "was not built"
            yield f"its dependency {one.name}@{one.version}/{one.dag_hash()[:LETTERS]} {fact}"


def generate(artifacts: str, output: str) -> int:
    """`spack ci generate`, but for the views: their place is not one that this user may write to."""
    environments: Any = importlib.import_module("spack.environment.environment")
    environments.Environment.regenerate_views = lambda *_: None
    return spack_ci("generate", "--artifacts-root", artifacts, "--output-file", output)


def build(letters: str) -> int:
    """`spack ci rebuild` without its last step, or, without a section `ci`, the one command of it that builds.

    It wants that section; environments of `jc build` have none, since nobody describes a pipeline there.
    """
    if not importlib.import_module("spack.config").get("ci"):
        return install(letters)
    ci: Any = importlib.import_module("spack.ci")
    ci.create_buildcache = lambda *_, **__: []
    return spack_ci("rebuild")


def install(letters: str) -> int:
    """Build the package, and collect what is to be collected of its stage; the exit code."""
    kinds = collected_kinds()
    arguments = ["--use-buildcache=package:never,dependencies:only", "--only=package", "--only-concrete"]
    command = ["spack", "--color=always", "install", "--verbose", *(["--keep-stage"] if kinds else []), *arguments]
    flags = collecting().variables_of(active_spec(letters), kinds) if kinds else {}
    environment = {**os.environ, **flags}
    code = subprocess.run([*command, f"/{letters}"], env=environment, stdin=subprocess.PIPE, check=False).returncode  # noqa: S603
    if code == 0 and kinds:
        collecting().collect(active_spec(letters), kinds, Path(os.environ["SPACKTAINERS_COLLECTED"]))
    return code


def collecting() -> Any:
    """The module beside this one, which only some need."""
    sys.path.insert(0, str(Path(__file__).parent))
    return importlib.import_module("collecting")


def collected_kinds() -> list[str]:
    """What is to be collected."""
    return os.environ.get("SPACKTAINERS_COLLECT", "").split()


def spack_ci(*arguments: str) -> int:
    """A command of `spack ci` in this process; its exit code."""
    parser = importlib.import_module("spack.main").make_argument_parser()
    parser.add_command("ci")
    return int(importlib.import_module("spack.cmd.ci").ci(parser, parser.parse_args(["ci", *arguments])) or 0)


def push(letters: str, by_others: str = "") -> int:
    """The last step of `spack ci rebuild`: signed if there is exactly one key."""
    if by_others:
        keep_recipes_out()
        enter(active_spec(letters))
    ci = importlib.import_module("spack.ci")
    signs = ci.can_sign_binaries()
    if not signs and os.environ.get("SPACK_REQUIRE_SIGNING", "").lower() == "true":
        sys.exit("packages have to be signed, and Spack does not have exactly one key to sign with")
    destination = next(one for one in binary_mirrors() if one.name == "buildcache-destination")
    url = destination.push_url
    kinds = collected_kinds()
    if kinds and caches_with(active_spec(letters)):
        sys.stdout.write("The build cache has it already; only what was collected is pushed\n")
        collecting().push(Path(os.environ["SPACKTAINERS_COLLECTED"]), url)
        return 0
    results = ci.create_buildcache(input_spec=active_spec(letters), destination_mirror_urls=[url], sign_binaries=signs)
    for one in results:
        sys.stdout.write(f"{'Pushed' if one.success else 'Failed to push'} to {one.url}\n")
    if not all(one.success for one in results):
        return PUSH_FAILED
    if kinds:
        collecting().push(Path(os.environ["SPACKTAINERS_COLLECTED"]), url)
    return 0


def enter(spec: Any) -> None:
    """Enter what others built into the database. Raises `SystemExit` if it does not say that it is this package."""
    store = importlib.import_module("spack.store").STORE
    prefix = Path(store.layout.path_for_spec(spec))
    # Whatever the database says, it lies here.
    if hasattr(spec, "set_prefix"):
        spec.set_prefix(str(prefix))
    else:  # before Spack 1.0
        spec.prefix = str(prefix)
    file = prefix / ".spack" / "spec.json"
    if file.parent.is_symlink() or file.is_symlink():
        sys.exit(f"{file} is not a file of the package")
    said = json.loads(file.read_bytes())["spec"]["nodes"][0]
    meant = json.loads(spec.to_json(hash=importlib.import_module("spack.hash_types").dag_hash))["spec"]["nodes"][0]
    different = sorted(key for key in {*said, *meant} if said.get(key) != meant.get(key))
    if different:
        sys.exit(f"{file} is of another package: {', '.join(different)} differ")
    # Before Spack 0.23 a database had to be told where packages lie.
    knows = importlib.import_module("spack").spack_version_info >= (0, 23)
    store.db.add(spec, *(() if knows else (store.layout,)))


if __name__ == "__main__":
    asked, *arguments = sys.argv[1:]
    phases: dict[str, Any] = {"generate": generate, "look": look, "prepare": prepare, "build": build, "push": push}
    sys.exit(phases[asked](*arguments))
