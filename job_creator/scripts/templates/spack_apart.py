"""Stands for `spack` where `jc mirror create` asks recipes what they need, and has sources fetched, by another user.

    spack python spack_apart.py --see NAME,NAME -- [-C SCOPE] ... python SCRIPT needs ENVIRONMENT HASHES OUTPUT
    spack python spack_apart.py --see NAME,NAME -- [-C SCOPE] ... python SCRIPT fetch ENVIRONMENT FOLDER

SCRIPT is `job_creator/mirrors/needs/inside_spack.py`, which says what its arguments are. Copies of what it reads are
handed over, and what was asked for is taken back: the answers, or one source after the other. Nothing else comes back,
wherever a recipe may write. The job of GitLab has the keys of the mirror; it checks and uploads what it gets. What the
other user sees, `apart.py` says. Scopes only say where Spack works; that user has a folder of its own for it.

Nothing of this project is imported here but what lies beside it, and nothing of Spack.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from job_creator.scripts.templates import apart
else:
    # Spack 0.21 runs files without telling them their name.
    sys.path.insert(0, str(Path(globals().get("__file__", sys.argv[0])).parent))
    import apart

LONGEST_ANSWER = 1 << 20
"""Bytes of a line."""


class Errand(NamedTuple):
    """What another user does, and what it is handed."""

    person: apart.Person
    folder: Path
    """One that it sees and cannot write to."""
    variables: dict[str, str]

    def command(self, words: Sequence[str], reads: int, *writes: str) -> list[str]:
        """The command line with copies of the script and of what it reads, the first arguments of it."""
        script, what, *paths = words[words.index("python") + 1 :]
        program = self.folder / "program.py"
        shutil.copyfile(script, program)
        copies = [(Path(path), self.person.checkout / str(number)) for number, path in enumerate(paths[:reads])]
        for path, copy in copies:
            apart.copy_to(path, copy, self.person)
        return ["spack", "python", str(program), what, *(str(copy) for _, copy in copies), *writes]

    @property
    def answers(self) -> Path:
        """Where that user puts what was asked for."""
        return self.person.folder / "answers"

    def taken(self, name: str, target: Path) -> bool:
        """Take one plain file of the answers; whether there is one. All others are dropped."""
        taken = self.folder / "taken"
        apart.take(self.person, self.answers, taken)
        # Who wrote the files removes them, so that no link leads root astray.
        apart.start(self.person, ["find", str(self.answers), "-mindepth", "1", "-delete"], {}).wait()
        found = taken / name
        is_there = ".." not in Path(name).parts and found.is_relative_to(taken) and found.is_file()
        if is_there:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found, target)
        shutil.rmtree(taken, ignore_errors=True)
        return is_there

    def ask(self, words: Sequence[str]) -> int:
        """Have recipes say what packages need; the exit code."""
        output = words[-1]
        process = apart.start(self.person, self.command(words, 2, str(self.answers / "needs")), self.variables)
        process.communicate()
        apart.end(self.person)
        return process.returncode or (0 if self.taken("needs", Path(output)) else 1)

    def fetch(self, words: Sequence[str], asked: IO[str], answers: IO[str]) -> int:
        """Have one source after the other fetched, as lines ask for them; the exit code."""
        target = Path(words[-1])
        command = self.command(words, 1, str(self.answers))
        process = apart.start(self.person, command, self.variables, subprocess.PIPE, sys.stderr.fileno())
        with process, contextlib.suppress(BrokenPipeError):
            for line in asked:
                said = self.told(process, line)
                if not said:
                    break
                problem = problem_of(said)
                path = str(json.loads(line)[1])
                if not problem and not self.taken(path, target / path):
                    problem = "what was fetched is no plain file"
                answers.write(json.dumps(problem) + "\n")
                answers.flush()
        return process.returncode

    def told(self, process: subprocess.Popen[bytes], line: str) -> bytes:
        """What the other user's Spack answers to a line; empty if it has ended."""
        if process.stdin is None or process.stdout is None:
            return b""
        process.stdin.write(line.encode())
        process.stdin.flush()
        return process.stdout.readline(LONGEST_ANSWER)


def problem_of(said: bytes) -> str:
    """What went wrong, as an answer says; what is no answer is wrong as well."""
    try:
        problem = json.loads(said)
    except (ValueError, RecursionError):
        problem = None
    return problem if isinstance(problem, str) else "Spack's answer cannot be read; did a recipe write it?"


def main(arguments: Sequence[str]) -> int:
    """Run Spack apart; its exit code."""
    parser = argparse.ArgumentParser(description="Runs Spack as another user, who sees nothing of a job.")
    parser.add_argument("--see", type=apart.names, default={}, help="variables that it gets")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args(arguments)
    if os.environ.get(apart.SAME_USER):
        return subprocess.run(["spack", *asked.words], check=False).returncode  # noqa: S603, S607
    if not apart.is_possible():
        apart.warn()
        seen = apart.environment_of(os.environ, (*asked.see, "HOME", "TMPDIR", "SPACK_USER_CACHE_PATH"), {})
        return subprocess.run(["spack", *asked.words], env=seen, check=False).returncode  # noqa: S603, S607
    os.umask(0o022)
    folder = Path(tempfile.mkdtemp(prefix="job-"))
    checkout = Path(os.environ["CI_PROJECT_DIR"])
    apart.require_outside(folder, checkout)
    apart.close(checkout)
    person = apart.newcomer("fetcher", folder)
    try:
        apart.share_cache(person, os.environ)
        variables = apart.environment_of(os.environ, asked.see, {}, person)
        errand = Errand(person, folder, variables)
        if "fetch" in asked.words:
            return errand.fetch(asked.words, sys.stdin, sys.stdout)
        return errand.ask(asked.words)
    finally:
        apart.dismiss(person)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
