"""Who runs the phases of a package job, and with which variables. Part of `build_packages.py`."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from job_creator.scripts.templates import apart
else:
    sys.path.insert(0, str(Path(__file__).parent))
    import apart

HERE = Path(__file__).parent
PHASES = "package_phases.py"
ANSWER = "answer.json"


def made_with(environment: Mapping[str, str]) -> dict[str, Any]:
    """What repeats this job elsewhere: its image, and the commits of Spack and of its recipes."""
    spack = environment.get("SPACK_ROOT", "")
    configured = Path(spack, "etc", "spack", "repos.yaml")
    text = configured.read_text(encoding="utf-8") if spack and configured.is_file() else ""
    recipes = [commit_of(folder) for folder in re.findall(r"^ *-? *(?:[\w.-]+: *)?(/.+)$", text, re.MULTILINE)]
    found = {"spack_commit": commit_of(spack), "recipes_commit": next((one for one in recipes if one), "")}
    return {"image": environment.get("CI_JOB_IMAGE", ""), **found}


def commit_of(folder: str) -> str:
    """The commit that a checkout is at; empty for what is none, and where there is no git."""
    command = ["git", "-c", "safe.directory=*", "-C", folder, "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() if folder else ""  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""


class Workplace:
    """All phases run as the user of this job. Where `see` is `None`, all get all variables."""

    def __init__(self, environment: Mapping[str, str], see: Collection[str] | None, read: Mapping[str, str]) -> None:
        """`read` are variables of the first phase, each with the name of the variable that has its value."""
        self.environment = environment
        self.see = see
        self.read = read
        self.folder = Path(tempfile.mkdtemp(prefix="job-"))

    def set_up(self, packages: Collection[str]) -> None:
        """Get ready for packages, of which these are the DAG hashes. Raises `SystemExit` if that is not possible."""

    def close(self) -> None:
        """Remove what is not needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def before(self, phase: str, package: str) -> str:
        """Get ready for a phase of a package, of which this is the DAG hash; what is wrong, empty if nothing is."""
        del phase, package
        return ""

    def start(self, phase: str, package: str, own: Mapping[str, str], *more: str) -> subprocess.Popen[bytes]:
        """Start a phase, with the variables `own` besides.

        Standard input is a pipe, since Spack's new installer cannot wait for anything else.
        """
        variables = {**self.variables(phase), **own}
        return subprocess.Popen(command_of(HERE, phase, package, *more), env=variables, stdin=subprocess.PIPE)  # noqa: S603

    def after(self, phase: str, left: Collection[str]) -> None:
        """Do what is left to do once a phase has ended, which leaves files in some folders of the checkout."""

    @property
    def answers(self) -> Path:
        """The folder in which the first phase writes its answer."""
        return self.folder

    def answer(self) -> tuple[str, str] | None:
        """What it wrote, which is only read once; `None` for nothing of use."""
        file = self.folder / ANSWER
        try:
            state, because = json.loads(file.read_bytes())
            file.unlink()
        except (OSError, ValueError, TypeError):
            return None
        return (str(state), str(because)) if state in ("", "reused", "skipped") else None

    def variables(self, phase: str) -> dict[str, str]:
        """The variables of a phase."""
        if self.see is None or phase == "push":
            return dict(self.environment)
        kept = ("HOME", "TMPDIR", "USER", "SPACK_USER_CACHE_PATH", "SPACK_GNUPGHOME")
        read = self.read if phase == "prepare" else {}
        return apart.environment_of(self.environment, (*self.see, *kept), read)


class SeparateUsers(Workplace):
    """Users of their own prepare and build; this one, root, looks at what they left, and pushes.

    The database of Spack changes hands with the phases. What a build did to it is undone, and what it built is entered
    by the push, so that it cannot lead others to another folder.
    """

    def __init__(self, environment: Mapping[str, str], see: Collection[str], read: Mapping[str, str]) -> None:
        """The same, as root."""
        os.umask(0o022)
        super().__init__(environment, see, read)
        self.checkout = Path(environment.get("CI_PROJECT_DIR") or Path.cwd()).resolve()
        self.own, self.programs = self.folder / "root", self.folder / "programs"
        self.places: dict[str, Any] = {}
        self.people: dict[str, apart.Person] = {}

    def set_up(self, packages: Collection[str]) -> None:
        """Close the checkout, and make the users and what they need."""
        apart.require_outside(self.folder, self.checkout)
        self.own.mkdir(mode=0o700)
        # Programs that run as root later.
        for installed in (Path(self.environment["SPACK_ROOT"]), Path(sys.prefix)):
            if installed != Path("/usr"):
                apart.keep_from_writing(installed)
        self.places = self.looked(packages)
        apart.close(self.checkout)
        for phase, role in (("prepare", "reader"), ("build", "builder")):
            self.people[phase] = apart.newcomer(role, self.folder)
        self.programs.mkdir()
        shutil.copy(HERE / PHASES, self.programs)
        for person in self.people.values():
            self.furnish(person)
        self.lay_out()

    def looked(self, packages: Collection[str]) -> dict[str, Any]:
        """Where Spack of this job has what."""
        file, keys = self.own / "places.json", self.folder / "public_keys"
        command = [*command_of(HERE, "look", str(file)), str(keys), *packages]
        done = subprocess.run(command, env=self.variables("push"), check=False)  # noqa: S603
        if done.returncode != 0:
            sys.exit("Spack does not say where it keeps what")
        places: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return places

    def furnish(self, person: apart.Person) -> None:
        """Give a user the environment, the recipes that it names, and what Spack has found out before."""
        environment = self.checkout / self.environment["SPACK_CONCRETE_ENV_DIR"]
        target = person.checkout / environment.relative_to(self.checkout)
        apart.copy_to(environment, target, person)
        # Views are made elsewhere, and their place is not one that these users may write to.
        (target / "spack.yaml").write_text(self.places["manifest"], encoding="utf-8")
        apart.copy_named(self.places["manifest"], self.checkout, person)
        apart.share_cache(person, self.environment)
        program = shutil.which("spack", path=self.environment.get("PATH"))
        for needed in (program or "spack", self.environment.get("SPACK_PYTHON"), str(self.programs / PHASES)):
            if needed:
                apart.require_sight(person, Path(needed))

    @property
    def database(self) -> Path:
        """The folder of Spack's database."""
        return Path(self.places["database"])

    def lay_out(self) -> None:
        """Make the folders in which Spack installs, and keeps sources, and give them to those who use them first."""
        reader = self.people["prepare"]
        for place in (*self.places["folders"], self.places["sources"]):
            folder = Path(place)
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, reader.number, reader.group)

    def close(self) -> None:
        """Remove users and folders."""
        for person in self.people.values():
            apart.dismiss(person)
        super().close()

    def before(self, phase: str, package: str) -> str:
        """Let the database and the sources change hands; let root take what was built, unless something is wrong."""
        person = self.people.get(phase)
        prefix = Path(self.places["prefixes"][package])
        if person is None:
            return self.taken(prefix)
        others = {one.number for one in self.people.values()}
        apart.give(Path(self.places["sources"]), others, person)
        apart.give(self.database, {*others, 0} if phase == "prepare" else others, person)
        if phase == "build":
            # Its own prefix is all that it may make here, and all that it may remove.
            for folder in map(Path, self.places["folders"]):
                builds_here = folder == prefix.parent
                os.chown(folder, -1, person.group if builds_here else self.people["prepare"].group)
                folder.chmod(0o1775 if builds_here else 0o755)
        return ""

    def start(self, phase: str, package: str, own: Mapping[str, str], *more: str) -> subprocess.Popen[bytes]:
        """Start a phase as its user."""
        person = self.people.get(phase)
        if person is None:
            return super().start(phase, package, own, *more, "built by others")
        keys = [str(self.folder / "public_keys")] if phase == "prepare" else []
        variables = self.moved({**self.variables(phase), **own}, person)
        return apart.start(person, command_of(self.programs, phase, package, *more, *keys), variables)

    def after(self, phase: str, left: Collection[str]) -> None:
        """End what its user has left running, take what it wrote, and put the database right."""
        person = self.people.get(phase)
        if person is None:
            return
        apart.end(person)
        kept = self.own / "database"
        if phase == "prepare":
            shutil.rmtree(kept, ignore_errors=True)
            apart.take(person, self.database, kept)
            apart.take(person, self.answers, self.folder)
            return
        shutil.rmtree(self.database)
        shutil.copytree(kept, self.database)
        for folder in left:
            file = (self.checkout / folder).relative_to(self.checkout)
            apart.take(person, person.checkout / file, self.checkout / file)

    @property
    def answers(self) -> Path:
        """One of the reader's own."""
        return self.people["prepare"].folder / "answers"

    def variables(self, phase: str) -> dict[str, str]:
        """The variables of a phase; root has a folder for temporary files that others do not get to."""
        person = self.people.get(phase) if phase != "push" else None
        if person is None:
            return {**self.environment, "TMPDIR": str(self.own)}
        read = self.read if phase == "prepare" else {}
        found = apart.environment_of(self.environment, self.see or (), read, person)
        found["SPACK_ENV"] = str(self.checkout / self.environment["SPACK_CONCRETE_ENV_DIR"])
        # It was looked for already, and who builds has no keys to look for it.
        return {**found, "SPACK_REBUILD_EVERYTHING": "True"} if phase == "build" else found

    def moved(self, variables: Mapping[str, str], person: apart.Person) -> dict[str, str]:
        """The variables, with what they name of the checkout where that user has it."""
        found = {name: value.replace(str(self.checkout), str(person.checkout)) for name, value in variables.items()}
        return {**found, **person.variables()}

    def taken(self, prefix: Path) -> str:
        """Make root the owner of a package that was built; what is wrong with it, empty if nothing is."""
        owner = self.people["build"].number
        try:
            fault = fault_of(prefix, owner)
        except OSError as error:
            return f"it is not where it should be: {error}"
        if not fault:
            keep(prefix, owner)
        return fault


def fault_of(prefix: Path, owner: int) -> str:
    """What an installed package has that no build may leave; empty if there is nothing.

    A file of somebody else is a second name for one that the builder could not read. Raises `OSError`.
    """
    for one in (prefix, *apart.everything_in(prefix)):
        found = one.lstat()
        if found.st_uid != owner:
            return f"{one} is not a file of the user who built it"
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            return f"{one} is neither a file nor a folder nor a link"
    return "" if stat.S_ISDIR(prefix.lstat().st_mode) else f"{prefix} is no folder"


def keep(prefix: Path, owner: int) -> None:
    """Make a package that was built root's, so that no later build changes it, and nothing in it makes anybody root."""
    for one in (prefix, *apart.everything_in(prefix)):
        mode = one.lstat().st_mode
        if not stat.S_ISLNK(mode):
            one.chmod(stat.S_IMODE(mode) & 0o755)
    apart.give(prefix, {owner}, None)


def command_of(folder: Path, phase: str, *arguments: str) -> list[str]:
    """The command that runs a phase."""
    return ["spack", "python", str(folder / PHASES), phase, *arguments]
