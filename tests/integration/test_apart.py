"""Foreign code runs as other users: a package job with a stand-in for Spack, and the program by itself. As root."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from job_creator.builds import node_step
from job_creator.builds.node_step import PackageOutcome, read_records
from tests.integration.reachable import reachable_fixture as reachable_fixture
from tests.samples import REPOSITORY
from tests.spack_ci import lockfile, spack_hash

pytestmark = [
    # All make users of this machine.
    pytest.mark.xdist_group("users"),
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can let others run something"),
]

PYTHON: Final = "/usr/bin/python3"
"""One that all users can start."""
TEMPLATES: Final = REPOSITORY / "job_creator" / "scripts" / "templates"
SECRETS: Final = {"CI_JOB_TOKEN": "planted-token", "WRITER": "planted-writer"}
SPACK: Final = """\
#!{python}
import json, os, signal, sys, time
from pathlib import Path
folder = Path({folder!r})
script, phase, *rest = sys.argv[2:]
tree = folder / "tree"
settings = json.loads((folder / "settings.json").read_text())
found = dict(os.environ)
for file in Path("/proc").glob("[0-9]*/environ"):
    try:
        found[str(file)] = file.read_text(errors="replace")
    except OSError:
        pass
for name in settings["targets"]:
    try:
        found[name] = Path(name).read_text()
    except OSError:
        pass
(folder / "loot" / f"{{phase}}.{{os.getuid()}}.{{time.time_ns()}}").write_text(json.dumps(found))
if phase == "look":
    places = {{"database": str(tree / ".spack-db"), "sources": str(folder / "sources"), "folders": [str(tree)]}}
    places["prefixes"] = {{one: str(tree / one) for one in rest[2:]}}
    (tree / ".spack-db").mkdir(parents=True)
    (tree / ".spack-db" / "index.json").write_text("of root")
    Path(rest[0]).write_text(json.dumps({{**places, "manifest": "spack: {{}}\\n"}}))
    Path(rest[1]).write_text("public key")
if phase == "prepare":
    assert Path(rest[2]).read_text() == "public key"
    (tree / "dependency").write_text("content")
    (tree / ".spack-db" / "index.json").write_text("of the reader")
    Path(rest[1]).write_text(settings.get("answer", '["", ""]'))
if phase == "build":
    logs = Path(os.environ["CI_PROJECT_DIR"]) / os.environ["SPACK_JOB_LOG_DIR"]
    logs.mkdir(parents=True)
    (logs / "spack-build-out.txt").write_text("what it said")
    (logs / "stolen").symlink_to(settings["targets"][0])
    prefix = tree / rest[0]
    prefix.mkdir()
    exec(settings.get("build", ""))
    if os.fork() == 0:
        time.sleep(60)
        (folder / "loot" / "ghost").touch()
        os._exit(0)
if phase == "push":
    assert rest[1:] == ["built by others"]
    (folder / "pushed").write_text((tree / ".spack-db" / "index.json").read_text())
"""


class StandInJob:
    """A package job below a folder, whose one package is called `a`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        """Write everything; `settings` are for the stand-in."""
        self.folder = folder
        self.checkout = folder / "builds" / "project"
        self.prefix = folder / "tree" / spack_hash("a")
        environment = self.checkout / "jobs" / "x" / "concrete_environment"
        environment.mkdir(parents=True)
        (environment / "spack.lock").write_bytes(lockfile({"a": []}))
        (self.checkout / ".git").mkdir()
        secrets = [self.checkout / ".git" / "config", self.checkout.with_name("project.tmp") / "KEY"]
        secrets[1].parent.mkdir()
        for secret in secrets:
            secret.write_text("planted-file")
        program = folder / "spack" / "bin" / "spack"
        program.parent.mkdir(parents=True)
        program.write_text(SPACK.format(python=PYTHON, folder=str(folder)))
        told = {"targets": [str(one) for one in secrets], **settings}
        (folder / "settings.json").write_text(json.dumps(told))
        for name in ("loot", "tmp"):
            (folder / name).mkdir()
        for path in (folder / "builds", *(folder / "builds").rglob("*"), program, folder / "loot", folder / "tmp"):
            path.chmod(0o777)

    def run(self, *before: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the job; `before` stands before its command."""
        command = [PYTHON, str(TEMPLATES / node_step.PROGRAM), "--apart", "--see", "COLOUR", "--read", "KEY=READER"]
        environment = {
            "PATH": f"{self.folder}/spack/bin:{os.defpath}:/usr/sbin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "SPACK_ROOT": str(self.folder / "spack"),
            "CI_PROJECT_DIR": str(self.checkout),
            "SPACK_ARTIFACTS_ROOT": "jobs/x",
            "SPACK_CONCRETE_ENV_DIR": "jobs/x/concrete_environment",
            "SPACK_JOB_SPEC_DAG_HASH": spack_hash("a"),
            "COLOUR": "blue",
            "READER": "planted-reader",
            **SECRETS,
            **variables,
        }
        return subprocess.run(
            [*before, *command],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            umask=0,
        )

    def outcome(self) -> PackageOutcome:
        """What became of the package."""
        path = self.checkout / "jobs" / "x" / node_step.OUTCOMES / node_step.RECORDS
        (record,) = read_records(path.read_bytes(), str(path))
        return record

    def seen(self, phase: str) -> str:
        """All that a phase saw."""
        (file,) = (self.folder / "loot").glob(f"{phase}.*")
        assert (file.name.split(".")[1] == "0") == (phase in ("look", "push"))
        return file.read_text()


def test_each_phase_has_its_user_its_variables_and_its_end(reachable: Path) -> None:
    job = StandInJob(reachable)
    done = job.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.outcome().state == "built", done.stdout + done.stderr
    prepare, build, push = (job.seen(phase) for phase in ("prepare", "build", "push"))
    for text in (prepare, build):
        assert not [secret for secret in (*SECRETS.values(), "planted-file") if secret in text]
        assert '"COLOUR": "blue"' in text
    assert '"KEY": "planted-reader"' in prepare
    assert "planted-reader" not in build
    assert all(secret in push for secret in (*SECRETS.values(), "planted-file"))
    # What the build did to the database is undone, and nothing of it runs any more, or is there.
    assert (reachable / "pushed").read_text() == "of the reader"
    assert not list((reachable / "tmp").iterdir())
    # Other tests have users at the same time.
    assert str(reachable) not in Path("/etc/passwd").read_text()
    logs = job.checkout / "jobs" / "x" / "logs" / f"a-{spack_hash('a')[:7]}"
    assert {path.name for path in logs.iterdir()} == {"spack-build-out.txt"}
    assert stat.S_IMODE(job.checkout.stat().st_mode) == 0o700
    assert stat.S_IMODE(job.checkout.parent.stat().st_mode) == 0o1777
    assert stat.S_IMODE((reachable / "spack" / "bin" / "spack").stat().st_mode) == 0o755


def test_what_was_built_becomes_roots(reachable: Path) -> None:
    spoil = """
(prefix / "program").write_text("x")
(prefix / "program").chmod(0o6777)
(tree / ".spack-db" / "index.json").unlink()
(tree / ".spack-db" / "index.json").symlink_to("/etc/passwd")
for refused in (lambda: (tree / "dependency").write_text("y"), lambda: (tree / "dependency").rename(tree / "other")):
    try:
        refused()
    except PermissionError:
        continue
    raise SystemExit("it could be changed")
"""
    job = StandInJob(reachable, build=spoil)
    done = job.run()
    assert job.outcome().state == "built", done.stdout + done.stderr
    for path in (job.prefix, job.prefix / "program"):
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (0, 0o755)
    assert (reachable / "pushed").read_text() == "of the reader"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("os.mkfifo(prefix / 'pipe')", "is neither a file nor a folder nor a link"),
        ("prefix.rmdir(); prefix.symlink_to('/etc')", "is no folder"),
        ("prefix.rmdir(); prefix.write_text('')", "is no folder"),
        ("prefix.rmdir()", "it is not where it should be"),
    ],
)
def test_what_no_build_may_leave_is_not_pushed(reachable: Path, build: str, said: str) -> None:
    job = StandInJob(reachable, build=build)
    assert job.run().returncode == 1
    assert job.outcome().because.startswith("what it left is not taken: ")
    assert said in job.outcome().because
    assert not (reachable / "pushed").exists()


def test_a_second_name_of_a_file_of_root_is_not_pushed(reachable: Path) -> None:
    """Where the kernel lets others make one."""
    job = StandInJob(reachable)
    file = TEMPLATES / "workplace.py"
    program: Any = {"__name__": "workplace", "__file__": str(file)}
    exec(compile(file.read_text(), file, "exec"), program)  # noqa: S102 - under test
    job.prefix.mkdir(parents=True)
    os.chown(job.prefix, 12345, 12345)
    (job.prefix / "secret").write_text("x")
    assert "is not a file of the user who built it" in program["fault_of"](job.prefix, 12345)


@pytest.mark.parametrize("answer", ["nonsense", '["built", ""]', "[]"])
def test_what_the_reader_answers_is_not_believed_blindly(reachable: Path, answer: str) -> None:
    job = StandInJob(reachable, answer=answer)
    assert job.run().returncode == 1
    assert job.outcome().because == "its dependencies could not be looked at: exit code 0"


def test_what_others_cannot_get_to_ends_the_job(reachable: Path) -> None:
    job = StandInJob(reachable)
    (reachable / "spack").chmod(0o700)
    done = job.run()
    assert (done.returncode, "bin/spack is not for all users" in done.stderr) == (1, True)
    inside = job.run(TMPDIR=str(job.checkout))
    assert "TMPDIR lies in the checkout" in inside.stderr
    assert not (reachable / "pushed").exists()


def test_who_is_not_root_is_told_and_gives_what_it_can(reachable: Path) -> None:
    job = StandInJob(reachable)
    done = job.run("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
    assert "This job does not run as root" in done.stderr


def apart(checkout: Path, text: str, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder `work` of a checkout, with an environment of that text."""
    work = checkout / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "spack.yaml").write_text(text)
    return subprocess.run(
        [PYTHON, str(TEMPLATES / "apart.py"), "--see", "COLOUR", "--take", str(work), *command],
        env={
            "PATH": f"{os.defpath}:/usr/sbin",
            "HOME": str(checkout.parent),
            "TMPDIR": str(checkout.parent),
            "CI_PROJECT_DIR": str(checkout),
            **variables,
        },
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program_brings_what_an_environment_names_and_takes_what_was_made(reachable: Path) -> None:
    checkout = reachable / "project"
    for name in ("recipes/own/packages/x.py", "other", ".git/config", "work/before"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(name)
    script = """
        cat "$CI_PROJECT_DIR/recipes/own/packages/x.py" > "$0/made"
        [ ! -e "$CI_PROJECT_DIR/other" ] && [ ! -e "$CI_PROJECT_DIR/.git" ] && cat "$0/before"
        ln -s /etc/passwd "$0/link"
        id -u
        env
        exit 7
    """
    text = "repos: {own: $CI_PROJECT_DIR/recipes/own, none: '$CI_PROJECT_DIR/missing'}"
    work = str(checkout / "work")
    done = apart(checkout, text, "sh", "-euc", script, work, COLOUR="blue", SECRET="planted", SPACK_ENV=work)
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("work/before")
    assert "COLOUR=blue" in done.stdout
    assert "planted" not in done.stdout
    assert f"SPACK_ENV={work}" not in done.stdout
    assert (checkout / "work" / "made").read_text() == "recipes/own/packages/x.py"
    assert not os.path.lexists(checkout / "work" / "link")
    assert {path.name for path in reachable.iterdir()} == {"project"}


@pytest.mark.parametrize("name", [".git", "recipes/../.git/config", "out"])
def test_an_environment_brings_nothing_else(reachable: Path, name: str) -> None:
    checkout = reachable / "project"
    (checkout / ".git").mkdir(parents=True)
    (checkout / ".git" / "config").write_text("planted")
    (checkout / "recipes").mkdir()
    (checkout / "out").symlink_to("/etc")
    done = apart(checkout, f"repos: {{own: $CI_PROJECT_DIR/{name}}}", "true")
    assert done.returncode == 1
    assert "may name recipes of the repository, and nothing else" in done.stderr
