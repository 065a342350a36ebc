"""`jc mirror plan`, `create` and `config` with a stand-in for Spack that answers, fetches and concretizes from files.

What a real Spack does with them is in `test_mirror_filling.py`.
"""

from __future__ import annotations

import grp
import hashlib
import http.server
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.spack.source_needs import NEEDS_KEY, read_needs
from foundation.yaml_io import load
from job_creator.__main__ import main
from job_creator.mirrors.contents import STAGING
from tests.integration.s3_server import KEYS, new_bucket
from tests.programs import write_program
from tests.samples import REPOSITORY, SITE, TEMPLATE

STAND_IN = """\
import json, os, pathlib, shutil, sys
home = pathlib.Path({home!r})
words = sys.argv[1:]
with open(home / "log", "a") as log:
    log.write(json.dumps(words) + "\\n")
while words[0] in ("-C", "-e"):
    if words[0] == "-e":
        environment = pathlib.Path(words[1])
    del words[:2]
if words[0] == "location":
    sys.exit(f"==> Error: no environment {{words[2]!r}}")
if words[0] == "concretize":
    shutil.copy(environment / "spack.yaml", home / "concretized.yaml")
    shutil.copy(home / "spack.lock", environment / "spack.lock")
elif words[2] == "needs":
    answers = json.loads((home / "answers").read_text())
    wanted = pathlib.Path(words[4]).read_text().split()
    pathlib.Path(words[5]).write_text(json.dumps([answers[one] for one in wanted]))
else:
    for line in sys.stdin:
        path = json.loads(line)[1]
        source, target = home / "seeds" / path, pathlib.Path(words[4]) / path
        if not source.is_file():
            print(json.dumps("404 Not Found"), flush=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        print(json.dumps(""), flush=True)
"""


@dataclass(frozen=True)
class Site:
    """A folder with the stand-in, what it knows, and a lockfile; and the mirror, which is not there yet."""

    home: Path

    @property
    def mirror(self) -> Path:
        return self.home / "mirror"

    @property
    def lock(self) -> Path:
        return self.home / "spack.lock"

    @property
    def calls(self) -> list[list[str]]:
        path = self.home / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def seed(self, path: str, content: bytes) -> None:
        target = self.home / "seeds" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def run(self, command: str, *arguments: str, to: str = "", env: Mapping[str, str] | None = None) -> Result:
        own = [] if command == "config" else ["--to", to or str(self.mirror), "--spack", str(self.home / "spack")]
        cache = {"XDG_CACHE_HOME": str(self.home / "cache"), **(env or {})}
        repository = ["-C", str(self.home)]
        return CliRunner().invoke(main, [*repository, "mirror", command, *own, *arguments], env=cache)


def content_of(name: str) -> bytes:
    return f"the source of {name}\n".encode() * 100


def path_of(name: str) -> str:
    sha256 = hashlib.sha256(content_of(name)).hexdigest()
    return f"_source-cache/archive/{sha256[:2]}/{sha256}.tar.gz"


def answer(name: str, recipe: Path, **changed: Any) -> dict[str, Any]:
    source = {
        "kind": "archive",
        "fetcher": "url",
        "urls": [f"https://{name}.invalid/{name}.tar.gz"],
        "digest": hashlib.sha256(content_of(name)).hexdigest(),
        "fixed": True,
        "paths": [path_of(name), f"{name}/{name}-1.0.tar.gz"],
    }
    known = {
        "hash": name * 32,
        "problem": "",
        "recipe": [[str(recipe), hashlib.sha256(recipe.read_bytes()).hexdigest()]],
        "sources": [source],
        "is_current": True,
        "licences": ["MIT"],
        "may_redistribute_source": True,
        "may_redistribute_binary": True,
        "manual": "",
        "build_system": "generic",
        "build_tools": [],
    }
    return {**known, **changed}


@pytest.fixture(name="site")
def site_fixture(tmp_path: Path) -> Site:
    """Packages a, b and c; Spack can fetch a and b."""
    site = Site(tmp_path)
    recipe = tmp_path / "package.py"
    recipe.write_text("class A: ...\n")
    write_program(tmp_path / "spack", STAND_IN.format(home=str(tmp_path)))
    answers = {name * 32: answer(name, recipe) for name in "abc"}
    (tmp_path / "answers").write_text(json.dumps(answers))
    nodes = {
        name * 32: {"name": name, "version": "1.0", "hash": name * 32, "namespace": "builtin", "package_hash": name}
        for name in "abc"
    }
    lock = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "spack": {"version": "1.1.0", "type": "git", "commit": "c" * 40},
        "roots": [{"hash": hash_, "spec": node["name"]} for hash_, node in nodes.items()],
        "concrete_specs": {**nodes, "e" * 32: {"name": "libc", "version": "2", "external": {"path": "/usr"}}},
    }
    site.lock.write_text(json.dumps(lock))
    for name in "ab":
        site.seed(path_of(name), content_of(name))
    return site


def plan(site: Site, *arguments: str, to: str = "", env: Mapping[str, str] | None = None) -> dict[str, Any]:
    done = site.run("plan", str(site.lock), "--offline", "--json", *arguments, to=to, env=env)
    assert done.exit_code in (ExitCode.OK, ExitCode.NOT_READY), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["complete"] == (done.exit_code == ExitCode.OK)
    return found


def standing(found: Mapping[str, Any]) -> dict[str, str]:
    return {item["packages"][0][0]: item["status"] for item in found["items"]}


def test_spack_is_asked_once_until_a_recipe_changes(site: Site) -> None:
    assert standing(plan(site)) == {"a": "missing", "b": "missing", "c": "missing"}
    assert not site.mirror.exists()
    assert standing(plan(site)) == {"a": "missing", "b": "missing", "c": "missing"}
    assert len(site.calls) == 1
    (site.home / "package.py").write_text("class B: ...\n")
    plan(site)
    assert len(site.calls) == 2


def test_create_fills_and_says_what_it_could_not_get(site: Site) -> None:
    done = site.run("create", str(site.lock), "-j", "2")
    assert done.exit_code == ExitCode.NOT_READY, done.output
    assert hashlib.sha256(content_of("c")).hexdigest() in done.stdout
    assert "https://c.invalid/c.tar.gz" in done.stdout
    assert "404 Not Found" in done.stdout
    for name in "ab":
        assert (site.mirror / path_of(name)).read_bytes() == content_of(name)
        link = site.mirror / name / f"{name}-1.0.tar.gz"
        assert link.is_symlink()
        assert link.read_bytes() == content_of(name)
    assert standing(plan(site)) == {"a": "present", "b": "present", "c": "missing"}
    assert set(read_needs((site.mirror / NEEDS_KEY).read_bytes(), "needs").packages) == {"a" * 32, "b" * 32, "c" * 32}

    site.seed(path_of("c"), content_of("c"))
    done = site.run("create", str(site.lock), "--json")
    assert done.exit_code == ExitCode.OK, done.output
    assert json.loads(done.stdout)["added"] == [path_of("c")]
    assert not list((site.mirror / STAGING).rglob("*.tar.gz"))


def test_a_second_mirror_entry_keeps_what_the_first_was_for(site: Site) -> None:
    site.run("create", str(site.lock))
    lock = json.loads(site.lock.read_text())
    lock["roots"], lock["concrete_specs"] = [], {"d" * 32: {"name": "d", "version": "1.0", "hash": "d" * 32}}
    lock["roots"] = [{"hash": "d" * 32, "spec": "d"}]
    (site.home / "other.lock").write_text(json.dumps(lock))
    answers = json.loads((site.home / "answers").read_text())
    answers["d" * 32] = answer("d", site.home / "package.py", sources=[])
    (site.home / "answers").write_text(json.dumps(answers))
    assert site.run("create", str(site.home / "other.lock")).exit_code == ExitCode.OK
    assert len(read_needs((site.mirror / NEEDS_KEY).read_bytes(), "needs").packages) == 4


def test_what_spack_fetched_is_verified_before_it_gets_its_name(site: Site) -> None:
    site.seed(path_of("b"), b"something else")
    done = site.run("create", str(site.lock), "--json")
    (b, _) = sorted(json.loads(done.stdout)["failed"], key=lambda one: str(one["packages"]))
    assert hashlib.sha256(b"something else").hexdigest() in b["problem"]
    assert not (site.mirror / path_of("b")).exists()


def test_what_is_damaged_is_fetched_anew_and_what_is_right_is_read_once(site: Site) -> None:
    site.run("create", str(site.lock))
    (site.mirror / path_of("a")).write_bytes(b"damaged")
    assert site.run("create", str(site.lock)).exit_code == ExitCode.NOT_READY
    assert (site.mirror / path_of("a")).read_bytes() == content_of("a")
    fetched = [call for call in site.calls if "fetch" in call]
    site.run("create", str(site.lock))
    known = json.loads((site.mirror / ".spacktainers" / "verified.json").read_text())
    assert known.keys() == {path_of("a"), path_of("b")}
    # What was remembered is not read, so damage that keeps size and time is left for 'verify'.
    status = (site.mirror / path_of("a")).stat()
    (site.mirror / path_of("a")).write_bytes(b"x" * status.st_size)
    os.utime(site.mirror / path_of("a"), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert site.run("create", str(site.lock)).exit_code == ExitCode.NOT_READY
    assert (site.mirror / path_of("a")).read_bytes() == b"x" * status.st_size
    assert len([call for call in site.calls if "fetch" in call]) == len(fetched) + 2


def test_what_an_ended_run_fetched_is_taken_and_its_halves_are_not(site: Site) -> None:
    staged = site.mirror / STAGING / f"create-{os.geteuid()}" / "files"
    for name, content in (("c", content_of("c")), ("a", content_of("a")[:50])):
        (staged / path_of(name)).parent.mkdir(parents=True, exist_ok=True)
        (staged / path_of(name)).write_bytes(content)
    done = site.run("create", str(site.lock))
    assert done.exit_code == ExitCode.OK, done.output
    assert {name: (site.mirror / path_of(name)).read_bytes() for name in "abc"} == {
        name: content_of(name) for name in "abc"
    }


def test_a_dry_run_changes_nothing(site: Site) -> None:
    done = site.run("create", str(site.lock), "--dry-run")
    assert done.exit_code == ExitCode.OK
    assert "https://a.invalid/a.tar.gz" in done.stdout
    assert not site.mirror.exists()


def test_a_group_gets_everything_each_time(site: Site) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    old = os.umask(0o077)
    try:
        site.run("create", str(site.lock), "--group", group)
        (site.mirror / path_of("a")).chmod(0o600)
        (site.mirror / "_source-cache").chmod(0o700)
        site.run("create", str(site.lock), "--group", group)
    finally:
        os.umask(old)
    for path in (site.mirror, *site.mirror.rglob("*")):
        if STAGING not in f"{path.as_posix()}/" and not path.is_symlink():
            assert oct(stat.S_IMODE(path.stat().st_mode)) == ("0o2775" if path.is_dir() else "0o664"), path


def test_a_group_that_does_not_exist_changes_nothing(site: Site) -> None:
    done = site.run("create", str(site.lock), "--group", "no-such-group-here")
    assert done.exit_code == ExitCode.REFUSED
    assert not site.mirror.exists()


def test_a_bucket_is_filled_and_planned_for(site: Site, s3_environment: str) -> None:
    from foundation.stores.s3_client import s3_client

    client = s3_client(s3_environment)
    url = f"s3://{new_bucket(client)}/site"
    env = {**KEYS, "S3_ENDPOINT_URL": s3_environment}
    assert standing(plan(site, to=url, env=env)) == {"a": "missing", "b": "missing", "c": "missing"}
    done = site.run("create", str(site.lock), to=url, env=env)
    assert done.exit_code == ExitCode.NOT_READY, done.output
    found = plan(site, to=url, env=env)
    assert standing(found) == {"a": "present", "b": "present", "c": "missing"}
    assert found["bytes"]["present"]["known"] == len(content_of("a")) * 2
    assert site.run("create", str(site.lock), "--recipes", to=url, env=env).exit_code == ExitCode.REFUSED
    done = site.run("config", url, "--endpoint-url", s3_environment, env=env)
    assert s3_environment in done.stdout


@pytest.fixture(name="served")
def served_fixture(site: Site) -> Iterator[str]:
    """The mirror on a web server."""
    site.mirror.mkdir()
    handler = partial(_Quiet, directory=str(site.mirror))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def test_a_web_server_can_be_asked_but_not_filled(site: Site, served: str) -> None:
    site.run("create", str(site.lock))
    found = plan(site, to=served)
    assert standing(found) == {"a": "present", "b": "present", "c": "missing"}
    assert found["bytes"]["present"]["known"] == len(content_of("a")) * 2
    assert site.run("create", str(site.lock), to=served).exit_code == ExitCode.REFUSED
    assert served in site.run("config", served).stdout


def test_a_web_server_that_gives_no_answer_is_not_an_empty_mirror(site: Site) -> None:
    done = site.run("plan", str(site.lock), "--offline", to="http://127.0.0.1:1")
    assert done.exit_code == ExitCode.COULD_NOT_ASK


def test_a_spec_is_concretized_by_spack(site: Site) -> None:
    done = site.run("plan", "bzip2@1.0.8", "lz4", "--offline")
    assert done.exit_code == ExitCode.NOT_READY, done.output
    environment = load((site.home / "concretized.yaml").read_bytes(), "spack.yaml")
    assert environment["spack"]["specs"] == ["bzip2@1.0.8", "lz4"]


def test_definitions_are_concretized_without_cache_and_pipeline(site: Site) -> None:
    (site.home / "spacktainers.yaml").write_text(SITE)
    (site.home / "spack.yaml").write_text(TEMPLATE)
    for name in ("builder", "runtime", "singularitah"):
        shutil.copytree(REPOSITORY / name, site.home / name)
    folder = site.home / "container_definitions" / "amd64"
    folder.mkdir(parents=True)
    (folder / "tools.yaml").write_text("spack:\n  specs: [ripgrep]\n")
    for arguments in (("tools",), ("--all",)):
        done = site.run("plan", *arguments, "--architecture", "amd64", "--offline")
        assert done.exit_code == ExitCode.NOT_READY, done.output
        environment = load((site.home / "concretized.yaml").read_bytes(), "spack.yaml")["spack"]
        assert environment["specs"] == ["ripgrep"]
        assert not {"ci", "mirrors"} & environment.keys()
        (site.home / "concretized.yaml").unlink()
    done = site.run("plan", "--all", "--architecture", "arm64", "--offline")
    assert done.exit_code == ExitCode.NOT_THERE


@pytest.mark.parametrize("wanted", ["nowhere/spack.lock", "missing.lock", "./folder"])
def test_what_looks_like_a_file_is_no_spec(site: Site, wanted: str) -> None:
    assert site.run("plan", wanted).exit_code == ExitCode.NOT_THERE
    assert site.calls == []


def test_a_damaged_lockfile_is_refused(site: Site) -> None:
    site.lock.write_text("{")
    assert site.run("plan", str(site.lock)).exit_code == ExitCode.INVALID_INPUT


def test_the_configuration_is_written_and_leads_to_the_mirror(site: Site) -> None:
    site.run("create", str(site.lock))
    scope = site.home / "scope"
    done = site.run("config", str(site.mirror), "-o", str(scope))
    assert done.exit_code == ExitCode.OK, done.output
    text = (scope / "mirrors.yaml").read_text()
    assert text.startswith("mirrors::\n")
    mirror = load(text.encode(), "mirrors.yaml")["mirrors:"]["site"]
    assert mirror == {"url": site.mirror.as_uri(), "source": True, "binary": False}
    assert f"spack -C {scope} install" in done.stdout
    assert site.run("config", str(site.home / "nowhere")).exit_code == ExitCode.NOT_THERE
