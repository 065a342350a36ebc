"""Lets other users run what runs foreign code, so that it sees nothing of a job: no key, no token, no checkout.

    spack python apart.py --see NAME,NAME --read NAME,NAME --take FOLDER COMMAND ARGUMENT ...

A job of GitLab's has all variables, and the environment of a process can be read by all processes of the same user. So
foreign code (recipes of packages, and what they build) runs as a user who is only there for this job, with the
variables that are listed and no others, below a folder of its own; all its processes end with it. Nothing of it gets
more rights than that, whatever setuid programs there are. What it leaves is read with its own rights, and only files
are taken.

As a program, this runs a command that way in a copy of FOLDER, a folder of the checkout, and takes what is in the copy
then. NAME=OTHER gives the value of another variable. Only root can do so: for all others the command runs as the same
user with fewer variables, which this says. Where SPACKTAINERS_SAME_USER is set, it runs as it would without this: that
is for rehearsals, which have no secrets, and make no users.

Nothing of this project is imported here, and nothing of Spack.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

ABOUT_SPACK = """
    PATH SPACK_ROOT SPACK_PYTHON SPACK_DISABLE_LOCAL_CONFIG SPACK_USER_CONFIG_PATH SPACK_SYSTEM_CONFIG_PATH SPACK_ENV
    SPACK_COLOR SPACK_SKIP_MODULES SPACK_ARTIFACTS_ROOT SPACK_CONCRETE_ENV_DIR SPACK_JOB_LOG_DIR SPACK_JOB_REPRO_DIR
    SPACK_JOB_TEST_DIR SPACK_JOB_SPEC_PKG_NAME SPACK_JOB_SPEC_DAG_HASH SPACK_PIPELINE_TYPE SPACK_CI_STACK_NAME
    SPACK_REBUILD_EVERYTHING SPACK_CI_FAIL_FAST SPACK_VERBOSE_SCRIPT SPACK_VERSION SPACK_CHECKOUT_VERSION
    SPACK_REBUILD_CHECK_UP_TO_DATE SPACK_PRUNE_UP_TO_DATE SPACK_PRUNE_UNTOUCHED SPACK_LOCAL_MIRROR_DIR
    SPACK_REMOTE_MIRROR_URL SPACK_REMOTE_MIRROR_OVERRIDE SPACK_CI_SHARED_PR_MIRROR_URL FORCE_UNSAFE_CONFIGURE CI
    GITLAB_CI CI_PROJECT_DIR CI_PROJECT_ID CI_JOB_NAME CI_JOB_ID CI_JOB_URL CI_PIPELINE_ID CI_PIPELINE_URL CI_API_V4_URL
    CI_RUNNER_DESCRIPTION CONTAINER ARCHITECTURE
""".split()  # noqa: SIM905 - one a line would be forty lines
"""Variables without secrets that Spack reads in jobs, where programs are, and those that say which job this is."""
SAME_USER = "SPACKTAINERS_SAME_USER"
OF_THE_CHECKOUT = re.compile(r"\$(?:CI_PROJECT_DIR|\{CI_PROJECT_DIR\})/([^\s'\",\]}]+)")
"""A path in an environment that leads into the checkout: recipes of the project's own."""
FOLDERS = ("home", "tmp", "cache", "gnupg", "checkout", "answers")
"""Of a user."""
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Person(NamedTuple):
    """A user that is only there for this job, and the folder that it has."""

    name: str
    number: int
    group: int
    folder: Path

    @property
    def checkout(self) -> Path:
        """What it takes for the checkout; it has what an environment names of the real one, and nothing else."""
        return self.folder / "checkout"

    def variables(self) -> dict[str, str]:
        """What programs have to be told, so that they find its folders."""
        return {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "SPACK_USER_CACHE_PATH": str(self.folder / "cache"),
            "SPACK_GNUPGHOME": str(self.folder / "gnupg"),
            "CI_PROJECT_DIR": str(self.checkout),
            "USER": self.name,
            "LOGNAME": self.name,
            # Spack asks git about its own folder, which is not this user's.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }


def is_possible() -> bool:
    """Whether this process may let others run something."""
    return os.geteuid() == 0 and not os.environ.get(SAME_USER)


def newcomer(role: str, above: Path) -> Person:
    """Make a user, with a folder below one that it sees. Raises `SystemExit` if that is not possible."""
    above.chmod(0o711)
    folder, name = above / role, f"{role}{os.getpid()}"
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", str(folder / "home"), "--shell", "/bin/sh"]
    done = subprocess.run(["useradd", *options, name], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603, S607
    if done.returncode != 0:
        sys.exit(f"there is no user to run foreign code as: {done.stderr.strip()}")
    account = pwd.getpwnam(name)
    for one in (folder, *(folder / place for place in FOLDERS)):
        one.mkdir(mode=0o700)
        os.chown(one, account.pw_uid, account.pw_gid)
    return Person(name, account.pw_uid, account.pw_gid, folder)


def share_cache(person: Person, environment: Mapping[str, str]) -> None:
    """Give a user what Spack has found out of recipes and compilers before, which takes it minutes."""
    own = Path(environment.get("SPACK_USER_CACHE_PATH") or "~/.spack").expanduser()
    for name in ("cache", "bootstrap/config"):
        if (own / name).is_dir():
            copy_to(own / name, person.folder / "cache" / name, person)


def dismiss(person: Person) -> None:
    """Let a user be no more, and nothing of it be left."""
    end(person)
    subprocess.run(["userdel", person.name], stderr=subprocess.DEVNULL, check=False)  # noqa: S603, S607
    shutil.rmtree(person.folder, ignore_errors=True)


def environment_of(
    environment: Mapping[str, str], see: Collection[str], read: Mapping[str, str], person: Person | None = None
) -> dict[str, str]:
    """The variables of foreign code: those of `see`, and those of `read` with the values of what they name."""
    seen = {name: environment[name] for name in (*ABOUT_SPACK, *see) if name in environment}
    keys = {name: environment[source] for name, source in read.items() if source in environment}
    return {**seen, **keys, **(person.variables() if person else {})}


def start(
    person: Person,
    command: Sequence[str],
    environment: Mapping[str, str],
    output: int | None = None,
    errors: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command as that user, in the folder that it takes for the checkout. It cannot become anybody else.

    Standard input is a pipe; `output` and `errors` say where its outputs go, if not where those of this process do.
    """
    to = ["setpriv", f"--reuid={person.number}", f"--regid={person.group}", "--clear-groups", "--no-new-privs", "--"]
    return subprocess.Popen(  # noqa: S603
        [*to, *command],
        env={"PATH": os.defpath, **environment},
        cwd=person.checkout,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        umask=0o022,
    )


def processes(number: int) -> Iterator[int]:
    """The processes of a user; those that have ended, and nobody has asked after, do not count."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if str(number) in lines.get("Uid", "").split() and not lines.get("State", "").strip().startswith("Z"):
            yield int(status.parent.name)


def end(person: Person) -> None:
    """End whatever that user has left running. Raises `SystemExit` if something stays."""
    kill = "import os\ntry: os.kill(-1, 9)\nexcept ProcessLookupError: pass"
    for attempt in range(50):
        if not any(processes(person.number)):
            return
        # All of them at once: one by one they could make others meanwhile.
        start(person, [sys.executable, "-Sc", kill], {}).communicate()
        time.sleep(0.02 * attempt)
    sys.exit(f"processes of user {person.number} cannot be ended")


def close(checkout: Path) -> None:
    """Keep all others out of the checkout and what GitLab keeps beside it, and from putting something in its place."""
    checkout = checkout.resolve()
    beside = checkout.with_name(f"{checkout.name}.tmp")
    # Where runners on Kubernetes keep the scripts of a job, which set its variables.
    for folder in (checkout, beside, *Path("/").glob("scripts-*"), *Path("/").glob("logs-*")):
        if folder.is_dir():
            folder.chmod(0o700)
    for folder in checkout.parents:
        mode = folder.stat().st_mode
        if mode & WRITABLE_BY_OTHERS and not mode & stat.S_ISVTX:
            folder.chmod(stat.S_IMODE(mode) | stat.S_ISVTX)


def keep_from_writing(folder: Path) -> None:
    """Let nobody else write to programs that run later. GitLab starts jobs with a umask of 0."""
    for one in (folder, *everything_in(folder)):
        mode = one.lstat().st_mode
        if mode & WRITABLE_BY_OTHERS and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and not mode & stat.S_ISVTX:
            one.chmod(stat.S_IMODE(mode) & ~WRITABLE_BY_OTHERS)


def give(path: Path, owners: Collection[int], new: Person | None) -> None:
    """Make what belongs to some users another's, or root's. Links are not followed, and others' files stay theirs."""
    number, group = (new.number, new.group) if new else (0, 0)
    for one in (path, *everything_in(path)):
        if one.lstat().st_uid in owners:
            os.chown(one, number, group, follow_symlinks=False)


def everything_in(path: Path) -> Iterator[Path]:
    """All that is below a folder, without following links, also where it is one itself."""
    if path.is_symlink():
        return
    for root, folders, files in os.walk(path):
        yield from (Path(root, name) for name in (*folders, *files))


def copy_named(text: str, checkout: Path, person: Person) -> None:
    """Copy what an environment names of the checkout: recipes. Raises `SystemExit` for what is not in it."""
    for name in sorted({found.rstrip("/") for found in OF_THE_CHECKOUT.findall(text)}):
        source = (checkout / name).resolve()
        if not source.exists():
            continue
        inside = source.relative_to(checkout.resolve()).parts if source.is_relative_to(checkout.resolve()) else ()
        if not inside or ".git" in inside:
            sys.exit(f"{name}: an environment may name recipes of the repository, and nothing else")
        copy_to(source, person.checkout / name, person)


def copy_to(source: Path, target: Path, person: Person) -> None:
    """Copy a file or folder to where that user has it, as its own."""
    (copied := target).parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
    while copied.parent != person.folder:
        copied = copied.parent
    give(copied, {0}, person)


def take(person: Person, source: Path, target: Path) -> None:
    """Copy the files below a folder of that user, who reads them, so that no link leads further than it could get."""
    pack = "import sys, tarfile\nwith tarfile.open(fileobj=sys.stdout.buffer, mode='w|') as t: t.add(sys.argv[1], '.')"
    packing = start(person, [sys.executable, "-Sc", pack, str(source)], {}, subprocess.PIPE, subprocess.DEVNULL)
    # Of what was not there, or could not be read, nothing comes.
    with packing, contextlib.suppress(tarfile.TarError):
        if packing.stdout:
            unpack(packing.stdout, target)


def unpack(stream: IO[bytes], target: Path) -> None:
    """Write the plain files of an archive below a folder, and nothing else. Raises `tarfile.TarError`."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            content = archive.extractfile(member) if member.isreg() and parts and ".." not in parts else None
            if content:
                file = target.joinpath(*parts)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.unlink(missing_ok=True)
                with file.open("xb") as written:
                    shutil.copyfileobj(content, written)


def names(text: str) -> dict[str, str]:
    """`NAME,NAME=OTHER`: the names of variables, each with that of the variable that has its value."""
    pairs = (one.partition("=") for one in text.split(",") if one)
    return {name: source or name for name, _, source in pairs}


def require_outside(folder: Path, checkout: Path) -> None:
    """Raises `SystemExit` if others could not get to a folder, since it lies where the checkout is."""
    if any(folder.resolve().is_relative_to(f"{checkout.resolve()}{more}") for more in ("", ".tmp")):
        shutil.rmtree(folder)
        sys.exit("TMPDIR lies in the checkout, which foreign code must not see")


def require_sight(person: Person, path: Path) -> None:
    """Raises `SystemExit` if that user cannot start a program that it needs, or read a file."""
    if start(person, ["test", "-x" if os.access(path, os.X_OK) else "-r", str(path)], {}).wait() != 0:
        sys.exit(f"{path} is not for all users, as one of whom packages are built; see 'namei --modes {path}'")


def warn() -> None:
    """Say what a job lacks that does not run as root."""
    sys.stderr.write(
        "This job does not run as root, so no other user can run recipes and builds for it: what they run can read the "
        "keys and tokens of this job. See docs/variables-and-permissions.md.\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Run a command apart; its exit code."""
    parser = argparse.ArgumentParser(description="Runs a command as another user, who sees nothing of a job.")
    parser.add_argument("--see", type=names, default={}, help="variables that it gets")
    parser.add_argument("--read", type=names, default={}, help="variables with keys that read")
    parser.add_argument("--take", type=Path, required=True, help="folder of the checkout that it works in")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)
    checkout = Path(os.environ["CI_PROJECT_DIR"])
    if os.environ.get(SAME_USER):
        return subprocess.run(asked.command, check=False).returncode  # noqa: S603
    if not is_possible():
        warn()
        seen = environment_of(os.environ, (*asked.see, "HOME", "TMPDIR", "SPACK_USER_CACHE_PATH"), asked.read)
        return subprocess.run(asked.command, env=seen, check=False).returncode  # noqa: S603
    os.umask(0o022)
    folder = Path(tempfile.mkdtemp(prefix="job-"))
    require_outside(folder, checkout)
    person = newcomer("reader", folder)
    try:
        return run_apart(asked, checkout, person)
    finally:
        dismiss(person)
        shutil.rmtree(folder, ignore_errors=True)


def run_apart(asked: argparse.Namespace, checkout: Path, person: Person) -> int:
    """The same, as root."""
    close(checkout)
    there = person.checkout / asked.take.resolve().relative_to(checkout.resolve())
    for file in asked.take.rglob("spack.yaml"):
        copy_named(file.read_text(encoding="utf-8"), checkout, person)
    copy_to(asked.take, there, person)
    share_cache(person, os.environ)
    seen = environment_of(os.environ, asked.see, asked.read, person)
    command = [one.replace(str(asked.take), str(there)) for one in asked.command]
    seen = {name: value.replace(str(asked.take), str(there)) for name, value in seen.items()}
    process = start(person, command, seen)
    process.communicate()
    end(person)
    take(person, there, asked.take)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
