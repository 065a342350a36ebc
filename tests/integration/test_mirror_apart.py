"""Recipes run as another user in the job that fills a source mirror. As root, with a stand-in for Spack."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from job_creator import project_files
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.base_pipeline import plan
from job_creator.engines.gitlab.jobs.environments import PROGRAMS
from job_creator.images.knowledge import Knowledge
from job_creator.scripts.rendering import render
from tests.integration.reachable import reachable_fixture as reachable_fixture
from tests.mirror_settings import with_mirrors
from tests.samples import DEFAULT_BRANCH, inputs
from tests.spack_ci import lockfile, spack_hash

pytestmark = [
    # All make users of this machine.
    pytest.mark.xdist_group("users"),
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can let others run something"),
]

SECRETS: Final = {"AWS_SECRET_ACCESS_KEY": "planted-writer", "CI_JOB_TOKEN": "planted-token"}
SPACK: Final = """\
#!/usr/bin/python3
import glob, json, os, sys, time
from pathlib import Path
script, *rest = sys.argv[2:]
if script.endswith("/spack_apart.py"):
    os.execv("/usr/bin/python3", ["/usr/bin/python3", script, *rest])
folder = Path({folder!r})
told = json.loads((folder / "told.json").read_text())
seen = dict(os.environ)
for file in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"), *told["targets"]]:
    try:
        seen[file] = Path(file).read_text(errors="replace")
    except OSError:
        pass
(folder / "loot" / f"{{rest[0]}}.{{os.getuid()}}.{{time.time_ns()}}").write_text(json.dumps(seen))
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
    os._exit(0)
if rest[0] == "needs":
    Path(rest[3]).write_text(json.dumps(told["answers"]))
    Path(rest[3]).with_name("more").write_text("nobody asked for it")
else:
    for line in sys.stdin:
        hash_, path = json.loads(line)
        said = json.dumps("")
        name = Path(rest[2]) / path
        name.parent.mkdir(parents=True, exist_ok=True)
        exec(told["fetch"])
        print(said, flush=True)
"""
FETCH: Final = "name.write_text(f'source of {hash_}')"


def content_of(name: str) -> bytes:
    return f"source of {spack_hash(name)}".encode()


def path_of(name: str) -> str:
    sha256 = hashlib.sha256(content_of(name)).hexdigest()
    return f"_source-cache/archive/{sha256[:2]}/{sha256}.tar.gz"


def answer(name: str, **changed: Any) -> dict[str, Any]:
    """What Spack says of a package."""
    digest = hashlib.sha256(content_of(name)).hexdigest()
    source = {
        "kind": "archive",
        "fetcher": "url",
        "urls": [],
        "digest": digest,
        "fixed": True,
        "paths": [path_of(name)],
    }
    known = {"hash": spack_hash(name), "problem": "", "recipe": [], "sources": [{**source, **changed}]}
    more = {"is_current": True, "licences": [], "may_redistribute_source": True, "may_redistribute_binary": True}
    return {**known, **more, "manual": "", "build_system": "generic", "build_tools": []}


class MirrorJob:
    """The job, as it is generated, below a folder."""

    def __init__(self, folder: Path, answers: list[dict[str, Any]], fetch: str = FETCH) -> None:
        """Write everything; `answers` and `fetch` are what recipes do."""
        self.folder = folder
        self.checkout = folder / "builds" / "project"
        self.mirror = folder / "mirror"
        text = with_mirrors(f"{{url: {self.mirror}}}", "")
        planned = plan(inputs(text=text, environment=DEFAULT_BRANCH), Knowledge(None, "not asked"))
        job = planned.pipeline.job(names.mirror_job("amd64"))
        lock = self.checkout / project_files.environments_folder("amd64") / "x" / "concrete_environment" / "spack.lock"
        lock.parent.mkdir(parents=True)
        lock.write_bytes(lockfile({"a": [], "b": []}))
        programs = self.checkout / project_files.PROGRAMS_FOLDER
        programs.mkdir()
        for name in PROGRAMS:
            (programs / name).write_text(render(name))
        secrets = [self.checkout / ".git" / "config", self.checkout.with_name("project.tmp") / "KEY"]
        for secret in secrets:
            secret.parent.mkdir()
            secret.write_text("planted-file")
        program = folder / "bin" / "spack"
        program.parent.mkdir()
        program.write_text(SPACK.format(folder=str(folder)))
        told = {"targets": [str(one) for one in secrets], "answers": answers, "fetch": fetch}
        (folder / "told.json").write_text(json.dumps(told))
        for name in ("loot", "tmp"):
            (folder / name).mkdir()
        for path in (folder / "builds", *(folder / "builds").rglob("*"), program, folder / "loot", folder / "tmp"):
            path.chmod(0o777)
        self.script = f"umask 0\nset -eu\n{job.script[-1]}"

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it as a runner does: as root, with a umask of 0."""
        environment = {
            "PATH": f"{self.folder}/bin:{Path(sys.executable).parent}:{os.defpath}:/usr/sbin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "CI_PROJECT_DIR": str(self.checkout),
            "https_proxy": "http://proxy.invalid",
            **SECRETS,
        }
        command = ["sh", "-c", self.script]
        return subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False, umask=0
        )

    def files(self) -> dict[str, bytes]:
        """The sources that the mirror has."""
        found = (path for path in self.mirror.rglob("*") if path.is_file() and ".spacktainers" not in path.parts)
        return {path.relative_to(self.mirror).as_posix(): path.read_bytes() for path in found}


def test_recipes_say_what_they_need_and_fetch_it_and_see_no_key(reachable: Path) -> None:
    job = MirrorJob(reachable, [answer("a"), answer("b")])
    done = job.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.files() == {path_of(name): content_of(name) for name in ("a", "b")}
    loot = sorted((reachable / "loot").iterdir())
    assert {file.name.split(".")[0] for file in loot} == {"needs", "fetch"}
    for file in loot:
        seen = file.read_text()
        assert file.name.split(".")[1] != "0"
        assert not [secret for secret in (*SECRETS.values(), "planted-file") if secret in seen]
        assert '"https_proxy": "http://proxy.invalid"' in seen
    # Nothing of the other users is left, nor of what they ran.
    assert not list((reachable / "tmp").iterdir())
    assert str(reachable) not in Path("/etc/passwd").read_text()
    assert not [
        one for one in Path("/proc").glob("[0-9]*/cmdline") if str(reachable) in one.read_text(errors="replace")
    ]


@pytest.mark.parametrize(
    ("fetch", "said"),
    [
        ("name.symlink_to(told['targets'][1])", "no plain file"),
        ("name.mkdir()", "no plain file"),
        ("os.mkfifo(name)", "no plain file"),
        ("pass", "no plain file"),
        ("name.parent.rmdir(); name.parent.symlink_to(Path(told['targets'][1]).parent)", "no plain file"),
        ("name.write_text('something else')", "has the sha256"),
        ("said = '[\"\"'", "cannot be read"),
        ("said = '[' * 100000", "cannot be read"),
        ("said = '7'", "cannot be read"),
        ("said = json.dumps('no such host')", "no such host"),
    ],
)
def test_what_is_fetched_is_a_file_of_the_recipes_checksum_or_nothing(reachable: Path, fetch: str, said: str) -> None:
    job = MirrorJob(reachable, [answer("a"), answer("b")], f"if hash_ == {spack_hash('b')!r}: {FETCH}\nelse: {fetch}")
    done = job.run()
    assert said in done.stdout, done.stdout + done.stderr
    assert job.files() == {path_of("b"): content_of("b")}
    assert done.returncode == 8


@pytest.mark.parametrize(
    "place",
    [
        "../../builds/project.tmp/KEY",
        "/etc/shadow",
        "build_cache/index.json",
        "v3/manifests/index/index.manifest.json",
        ".spacktainers/needs.json",
        "index",
        path_of("b"),
    ],
)
def test_recipes_do_not_say_where_other_things_lie(reachable: Path, place: str) -> None:
    job = MirrorJob(reachable, [answer("a", paths=[place], digest=""), answer("b")])
    done = job.run()
    assert job.files() == {path_of("b"): content_of("b")}, done.stdout + done.stderr
    assert "can never be mirrored" in done.stdout
    for file in (reachable / "loot").glob("fetch.*"):
        assert "planted-file" not in file.read_text()


@pytest.mark.parametrize("answers", ["[]", '["x"]', "{}", '[{"hash": 7}]', "[" * 100000])
def test_answers_that_are_none_end_the_job_with_a_reason(reachable: Path, answers: str) -> None:
    job = MirrorJob(reachable, [])
    told = json.loads((reachable / "told.json").read_text())
    script = (reachable / "bin" / "spack").read_text()
    (reachable / "told.json").write_text(json.dumps({**told, "text": answers}))
    (reachable / "bin" / "spack").write_text(script.replace('json.dumps(told["answers"])', 'told["text"]'))
    done = job.run()
    assert done.returncode == 5, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
