"""A job of GitLab's with secrets everywhere, in which a hostile recipe is built by a real Spack."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.yaml_io import dump, load
from job_creator import project_files
from job_creator.builds import node_step
from job_creator.engines.gitlab.jobs.environments import PROGRAMS, SPACK_APART, STEPS
from job_creator.environments.from_spack import FILE, QUESTIONS
from job_creator.environments.merged import merged_environment
from job_creator.environments.mirror_names import DESTINATION
from job_creator.scripts.rendering import render
from tests.integration.real_spack import alone
from tests.integration.signing_keys import KeyPair
from tests.integration.tiny_spack import TinySpack
from tests.integration.toy_environment import setting_of, site_for
from tests.samples import REPOSITORY

SPY = REPOSITORY / "tests" / "data" / "spy.py"
TEMPLATES = REPOSITORY / "job_creator" / "scripts" / "templates"
SECRETS = {
    "CI_JOB_TOKEN": "planted-job-token",
    "AWS_CACHE_ACCESS_KEY_ID": "planted-writer-id",
    "AWS_CACHE_SECRET_ACCESS_KEY": "planted-writer-secret",
    "SPACK_MIRROR_PASSWORD": "planted-password",
}
READER = {"AWS_READER_ACCESS_KEY_ID": "planted-reader-id"}
IN_FILES = ("planted-git-token", "BEGIN PGP PRIVATE KEY", "an agent answers")

INSTALL = """\
version("1.0"{checksum})
    {source}
    {dependencies}
    {spy}

    def install(self, spec, prefix):
        mkdirp(prefix.lib)
        with open(join_path(prefix.lib, "content"), "w") as file:
            file.write(self.name)
        {attack}
"""


def packages(folder: Path) -> dict[str, str]:
    """A library, the hostile package that uses it, and one that uses that, as bodies of recipes."""
    targets = [folder / "builds" / "group" / name for name in ("project", "project.tmp")]
    told = {"LOOT": str(folder / "loot"), "TARGETS": [str(one) for one in (*targets, folder / "gnupg")]}
    spy = f"SPY = {told!r}; exec({SPY.read_text()!r}, SPY); SPY['note']('recipe', SPY['seen']())"
    attack = "SPY['attack'](str(prefix), str(spec['tiny-lib'].prefix))".replace("SPY", "self.SPY")
    uses = 'depends_on("{}", type=("build", "link"))'
    archive = upstream(folder)
    nothing = {"checksum": "", "source": "", "dependencies": "", "spy": "", "attack": ""}
    checksum = f', sha256="{hashlib.sha256(archive.read_bytes()).hexdigest()}"'
    source = f'has_code = True\n    url = "file://{archive}"'
    spied = {"dependencies": uses.format("tiny-lib"), "spy": spy, "attack": attack}
    return {
        "tiny-lib": INSTALL.format(**{**nothing, "checksum": checksum, "source": source}),
        "tiny-spied": INSTALL.format(**{**nothing, **spied}),
        "tiny-last": INSTALL.format(**{**nothing, "dependencies": uses.format("tiny-spied")}),
    }


def upstream(folder: Path) -> Path:
    """The archive of the library's source."""
    archive = folder / "upstream" / "tiny-lib-1.0.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("tiny-lib-1.0/README"))
    return archive


@dataclass(frozen=True)
class SpiedJob:
    """The job, and what was seen in it."""

    folder: Path
    spack: TinySpack
    cache: Mapping[str, Any] | None = None
    """The build cache as Spack's configuration has it, if it is not a folder."""

    @property
    def checkout(self) -> Path:
        """The checkout; its runner lets everybody write to it."""
        return self.folder / "builds" / "group" / "project"

    @property
    def artifacts(self) -> Path:
        """What the job leaves, and gets."""
        return self.checkout / "jobs" / "spied"

    @property
    def loot(self) -> Path:
        """What the recipe kept of what it saw."""
        return self.folder / "loot"

    @property
    def mirror(self) -> Path:
        """The build cache."""
        return self.folder / "mirror"

    def prepare(self, pair: KeyPair) -> None:
        """Concretize, and lay out the checkout with its secrets."""
        for name in ("tmp", "mirror"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "tmp").chmod(0o1777)
        shutil.copytree(self.spack.recipes, self.checkout / "recipes" / "spack_repo" / "tiny")
        self.loot.mkdir()
        environment = self.spack.environment("spied", self.section())
        asked = ("python", "concretize.py", "/dev/null", str(environment))
        done = self.spack.run(*asked, CI_PROJECT_DIR=str(self.checkout))
        assert (environment / "spack.lock").is_file(), done.stdout + (environment / "answer.json").read_text()
        for file in self.loot.iterdir():
            file.unlink()
        steps = self.artifacts / node_step.FOLDER
        steps.mkdir(parents=True)
        for program in TEMPLATES.glob("*.py"):
            shutil.copy(program, steps)
        shutil.copytree(
            environment, self.artifacts / "concrete_environment", ignore=shutil.ignore_patterns(".spack-env")
        )
        (self.checkout / ".git").mkdir()
        (self.checkout / ".git" / "config").write_text("url = https://gitlab-ci-token:planted-git-token@gitlab/x.git\n")
        beside = self.checkout.with_name("project.tmp")
        beside.mkdir()
        (beside / "PRIVATE").write_bytes(pair.private)
        (beside / "PUBLIC").write_bytes(pair.public)
        # GitLab's runners work with a umask of 0.
        for path in (self.folder / "builds", *(self.folder / "builds").rglob("*"), self.loot):
            path.chmod(0o777 if path.is_dir() else 0o666)

    def section(self) -> dict[str, Any]:
        """The environment: as a definition would name the recipes, which lie in the checkout."""
        read: dict[str, Any] = {}
        for file in sorted((self.spack.folder / "configuration").iterdir()):
            read |= load(file.read_bytes(), str(file))
        recipes = "$CI_PROJECT_DIR/recipes/spack_repo/tiny"
        (repos,) = (key for key in read if key.startswith("repos"))
        signed = {"signed": True} if self.spack.line.mirrors_can_be_unsigned else {}
        return {
            **read,
            repos: {"tiny": recipes} if isinstance(read[repos], dict) else [recipes],
            "specs": ["tiny-last"],
            "view": str(self.folder / "view"),
            "mirrors": {DESTINATION: {**(self.cache or {"url": f"file://{self.mirror}"}), **signed}},
            "config": {
                "install_tree": {"root": str(self.folder / "software")},
                "source_cache": str(self.folder / "sources"),
            },
            "ci": {"target": "gitlab", "pipeline-gen": [{"build-job": {"script": ["true"]}}]},
        }

    def concretize(self) -> subprocess.CompletedProcess[str]:
        """Run the job that concretizes, below the checkout that `prepare` has laid out."""
        found = site_for(self.spack.line)
        setting = setting_of(found, self.spack.line)
        section = {key: value for key, value in self.section().items() if key not in ("ci", "mirrors")}
        merged: Any = merged_environment(setting, {}, section)
        merged["spack"]["mirrors"] = {DESTINATION: f"file://{self.mirror}"}
        (self.checkout / "merged_spack_spied_amd64.yaml").write_text(dump(merged))
        self._bring_programs()
        script = render(
            "generate_environment.sh.j2",
            folder="scratch",
            answer=FILE,
            programs=project_files.PROGRAMS_FOLDER,
            questions=QUESTIONS,
            node_step=node_step,
            steps=STEPS,
            libcs={"builder": "NOT_KNOWN", "runtime": "NOT_KNOWN"},
        )
        setup = render("spack_setup.sh.j2", public_key="PUBLIC", signed=False)
        more = {
            "FOREIGN_CODE_GETS": "--see COLOUR --read AWS_READER_ACCESS_KEY_ID",
            "ARCHITECTURE": "amd64",
            "CONTAINER": "spied",
            "SPACK_ROOT": self.spack.root,
            "CI_PIPELINE_ID": "4711",
        }
        end = 'trap \'rm -rf "$programs"; gpgconf --homedir "$SPACK_GNUPGHOME" --kill all\' EXIT'
        return self.as_a_runner(f"umask 0\n{setup}\n{script}\n{end}", **more)

    def mirror_sources(self) -> subprocess.CompletedProcess[str]:
        """Run the job that fills a source mirror, whose Spack knows the recipes."""
        beside = self.checkout / "scratch" / "spied" / "concrete_environment"
        beside.mkdir(parents=True)
        shutil.copy(self.artifacts / "concrete_environment" / "spack.lock", beside)
        self._bring_programs()
        script = render(
            "mirror_sources.sh.j2",
            folder="scratch",
            mirror=f"file://{self.folder}/sources-mirror",
            programs=project_files.PROGRAMS_FOLDER,
            program=SPACK_APART,
            apart="--see PATH,COLOUR",
        )
        setup = (
            f"set -eu\nunset SPACK_DISABLE_LOCAL_CONFIG\nPATH={self.spack.root}/bin:{Path(sys.executable).parent}:$PATH"
        )
        places = {
            "SPACK_SYSTEM_CONFIG_PATH": str(self.spack.folder / "configuration"),
            "SPACK_USER_CONFIG_PATH": str(self.folder / "no-configuration"),
        }
        return self.as_a_runner(f"umask 0\n{setup}\n{script}", **places)

    def _bring_programs(self) -> None:
        """What the job that writes pipelines hands on."""
        programs = self.checkout / project_files.PROGRAMS_FOLDER
        programs.mkdir()
        for name in PROGRAMS:
            shutil.copy(TEMPLATES / name, programs)

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the job as a runner does: as root, with a umask of 0."""
        lock = json.loads((self.artifacts / "concrete_environment" / "spack.lock").read_bytes())
        nodes = {node["name"]: key for key, node in lock["concrete_specs"].items()}
        packages = [f"{name}/{nodes[name]}" for name in ("tiny-lib", "tiny-spied", "tiny-last")]
        script = f"""
            umask 0
            . {self.spack.root}/share/spack/setup-env.sh
            spack gpg trust "$PUBLIC" > /dev/null
            spack gpg trust "$PRIVATE" > /dev/null
            export SPACK_ENV="$CI_PROJECT_DIR/jobs/spied/concrete_environment"
            spack python jobs/spied/steps/build_packages.py {" ".join(options)}
            code=$?
            gpgconf --homedir "$SPACK_GNUPGHOME" --kill all
            exit $code
        """
        folders = {
            "SPACK_ARTIFACTS_ROOT": "jobs/spied",
            "SPACK_CONCRETE_ENV_DIR": "jobs/spied/concrete_environment",
            "SPACK_JOB_LOG_DIR": "jobs/spied/logs",
            "SPACK_JOB_REPRO_DIR": "jobs/spied/reproduction",
            "SPACK_JOB_TEST_DIR": "jobs/spied/tests",
            # Spack 0.22 and older cannot do without these.
            "SPACK_LOCAL_MIRROR_DIR": "jobs/spied/mirror",
            "SPACK_REMOTE_MIRROR_URL": f"file://{self.mirror}",
            "SPACK_CI_SHARED_PR_MIRROR_URL": "None",
        }
        return self.as_a_runner(script, **{**folders, node_step.PACKAGES_VARIABLE: " ".join(packages), **variables})

    def as_a_runner(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a runner runs a job: in the checkout, with secrets in variables and beside it."""
        beside = self.checkout.with_name("project.tmp")
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.checkout,
            env={
                **alone(self.folder),
                # What Spack finds out of its own packages takes minutes.
                "SPACK_USER_CACHE_PATH": f"{os.environ['SPACK_USER_CACHE_PATH']}/{Path(self.spack.root).name}",
                **SECRETS,
                **READER,
                "PRIVATE": str(beside / "PRIVATE"),
                "PUBLIC": str(beside / "PUBLIC"),
                "COLOUR": "blue",
                "TMPDIR": str(self.folder / "tmp"),
                "SPACK_GNUPGHOME": str(self.folder / "gnupg"),
                "SPACK_REQUIRE_SIGNING": "True",
                "CI_PROJECT_DIR": str(self.checkout),
                "CI_JOB_NAME": "tiny-spied",
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def noted(self) -> dict[str, str]:
        """What the recipe kept, by the name of its file: what, which user, which process, when."""
        return {file.name: file.read_text(errors="replace") for file in sorted(self.loot.iterdir())}
