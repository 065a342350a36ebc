"""Package jobs as `jc` writes them, run by a real Spack: one for each package, or one for several.

An environment is concretized by the script of its job, Spack generates its pipeline, `jc` makes another of that, and
the scripts of its jobs run as a runner runs them: with the variables that stand in the file, and with what GitLab sets.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from foundation.graph import topological_order
from foundation.spack.releases import SpackLine
from job_creator.builds import node_step
from job_creator.builds.durations import Durations
from job_creator.builds.node_step import read_records
from job_creator.engines.gitlab.generated import Generated, read_generated
from job_creator.engines.gitlab.jobs.packages import PackagePlace
from job_creator.engines.gitlab.names import HASH_VARIABLE, NAME_VARIABLE
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.pipelines import Packed, PackRequest, pack
from job_creator.engines.gitlab.packing.work import FusionRequest, package_work
from job_creator.site.gitlab import Fuse
from tests.integration.reachable import reachable_fixture as reachable_fixture
from tests.integration.real_spack import ROOTS
from tests.integration.signing_keys import key_pair
from tests.integration.spied_job import SpiedJob
from tests.integration.tiny_spack import TinySpack
from tests.integration.toy_environment import setting_of, site_for

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.xdist_group("users"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can let others run something"),
]

RECIPE = """\
version("1.0")
    {dependencies}

    def install(self, spec, prefix):
        import os
        if os.path.exists("{broken}/" + self.name):
            raise InstallError(self.name + " is broken")
        mkdirp(prefix.lib)
        with open(join_path(prefix.lib, "content"), "w") as file:
            file.write(self.name)
"""
USES = {"tiny-base": (), "tiny-left": ("tiny-base",), "tiny-right": ("tiny-base",)}
USES |= {"tiny-slow": (), "tiny-last": ("tiny-left", "tiny-right", "tiny-slow")}
LONG = 9000.0
"""Seconds that one is expected to take; all others take so little that they may share a job meanwhile."""
FOLDER = "scratch/spied"
READ = re.compile(r"(SPACK|CI)_[A-Z0-9_]+")


@dataclass
class Jobs:
    """The jobs of an environment that a real Spack concretized, in a checkout where they can be run."""

    spied: SpiedJob
    ended: dict[str, str] = field(default_factory=dict)
    """What each job printed, by name."""

    @property
    def broken(self) -> Path:
        """A package whose name is here does not build."""
        return self.spied.folder / "broken"

    @property
    def line(self) -> SpackLine:
        """Of the Spack."""
        return self.spied.spack.line

    @cached_property
    def generated(self) -> Generated:
        """What Spack wrote in the job that concretizes."""
        done = self.spied.concretize()
        assert done.returncode == 0, done.stdout + done.stderr
        folder = self.spied.checkout / FOLDER
        beside = folder / "concrete_environment"
        lock, manifest = ((beside / name).read_bytes() for name in ("spack.lock", "spack.yaml"))
        pipeline = (folder / "pipeline.yml").read_bytes()
        return read_generated("spied", f"{FOLDER}/pipeline.yml", pipeline, lock=lock, environment=manifest)

    def packed(self, fuse: Fuse) -> Packed:
        """The pipelines that are made of it."""
        site = site_for(self.line)
        where = setting_of(site, self.line)
        place = PackagePlace("amd64", site.architectures["amd64"], site, where, "4711")
        durations = Durations({"tiny-slow": LONG})
        work = package_work([self.generated], place, place.demands(durations), FusionRequest(fuse, durations))
        return pack(work, PackRequest("out", "root.yaml"))

    def run(self, packed: Packed) -> dict[str, str]:
        """Run the pipeline as GitLab does, each job after those that it needs; what became of each package."""
        jobs = expand(packed.files[0].document)
        own = frozenset(packed.work.built_by)
        states: dict[str, str] = {}
        for name in topological_order({one: own & set(map(str, jobs[one]["needs"])) for one in own}):
            # Each job has a runner of its own.
            shutil.rmtree(self.spied.folder / "software", ignore_errors=True)
            shutil.rmtree(self.spied.checkout / FOLDER / node_step.OUTCOMES, ignore_errors=True)
            code, self.ended[name] = self._run_job(name, jobs[name])
            records = self.spied.checkout / FOLDER / node_step.OUTCOMES / node_step.RECORDS
            assert records.is_file(), self.ended[name]
            found = read_records(records.read_bytes(), name)
            assert code == int(any(one.state in ("failed", "skipped") for one in found)), self.ended[name]
            states |= {one.package: f"{one.state} {one.because}".strip() for one in found}
        return states

    def _run_job(self, name: str, job: dict[str, Any]) -> tuple[int, str]:
        lines = [str(line) for key in ("before_script", "script") for line in job.get(key, [])]
        end = "trap 'gpgconf --homedir \"$SPACK_GNUPGHOME\" --kill all' EXIT"
        variables = {key: str(text) for key, text in job["variables"].items() if not str(text).startswith("$")}
        places = {"SPACK_ROOT": self.spied.spack.root, "CI_JOB_NAME": name, "CI_PIPELINE_ID": "4712"}
        done = self.spied.as_a_runner("\n".join(["umask 0", end, *lines]), **{**variables, **places})
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(name="jobs", params=ROOTS)
def jobs_fixture(reachable: Path, request: pytest.FixtureRequest) -> Jobs:
    """Four packages of which one needs two that need a fourth, and a signed build cache that is empty."""
    uses = 'depends_on("{}", type=("build", "link"))'
    broken = reachable / "broken"
    broken.mkdir()
    recipes = {
        name: RECIPE.format(dependencies="\n    ".join(map(uses.format, needed)), broken=broken)
        for name, needed in USES.items()
    }
    spied = SpiedJob(reachable, TinySpack.made(request.param, reachable, recipes))
    spied.prepare(key_pair())
    return Jobs(spied)


def files(folder: Path) -> dict[str, int]:
    """When each file of a build cache that is named after a package was written; keys are written with each push."""
    found = (path for path in folder.rglob("*") if path.is_file() and "tiny-" in path.name)
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}


def test_each_job_builds_its_package_signed_and_only_once(jobs: Jobs) -> None:
    packed = jobs.packed("off")
    assert len(packed.work.groups) == len(USES)
    assert jobs.run(packed) == dict.fromkeys(USES, "built")
    written = files(jobs.spied.mirror)
    signed = [name for name in written if name.endswith((".spec.manifest.json", ".spec.json.sig"))]
    assert sorted(name for one in USES for name in signed if f"{one}-1.0" in name) == sorted(signed)
    assert len(signed) == len(USES)
    assert all("BEGIN PGP SIGNED MESSAGE" in (jobs.spied.mirror / name).read_text() for name in signed)
    again = jobs.run(packed)
    assert again == dict.fromkeys(USES, f"reused it is in file://{jobs.spied.mirror} already")
    assert files(jobs.spied.mirror) == written


def test_a_job_with_several_packages_builds_what_it_can_and_a_retry_what_is_left(jobs: Jobs) -> None:
    packed = jobs.packed(900)
    ((leader, steps),) = ((key, steps) for key, steps in packed.work.groups.items() if len(steps) > 1)
    assert {packed.work.merged.steps[one].package for one in steps} == {"tiny-base", "tiny-left", "tiny-right"}
    (jobs.broken / "tiny-left").touch()
    states = jobs.run(packed)
    assert states["tiny-left"].startswith("failed it does not build")
    assert re.match("skipped its dependency tiny-left@1.0/[a-z0-9]+ was not built", states["tiny-last"])
    assert {states[one] for one in ("tiny-base", "tiny-right", "tiny-slow")} == {"built"}
    name = packed.work.names[leader]
    assert name.endswith(" and 2 more")
    begun, ended = (
        re.findall(f"section_{one}:[0-9]+:package_([a-z0-9]+)", jobs.ended[name]) for one in ("start", "end")
    )
    assert begun == ended == [one[:7] for one in steps]
    (jobs.broken / "tiny-left").unlink()
    before = files(jobs.spied.mirror)
    there = f"reused it is in file://{jobs.spied.mirror} already"
    assert jobs.run(packed) == {**dict.fromkeys(USES, there), "tiny-left": "built", "tiny-last": "built"}
    assert files(jobs.spied.mirror).items() >= before.items()


def test_what_spack_reads_of_what_it_wrote_is_in_the_job(jobs: Jobs) -> None:
    """Variables that `spack ci rebuild` does not read are left out of jobs; all others have to be there."""
    tree = ast.parse((Path(jobs.spied.spack.root) / "lib" / "spack" / "spack" / "cmd" / "ci.py").read_text())
    (rebuild,) = (one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "ci_rebuild")
    texts = (str(one.value) for one in ast.walk(rebuild) if isinstance(one, ast.Constant))
    read = {text for text in texts if READ.fullmatch(text)}
    assert {HASH_VARIABLE, NAME_VARIABLE, "SPACK_CONCRETE_ENV_DIR", "SPACK_ARTIFACTS_ROOT"} <= read
    found = jobs.generated
    written = {name for job in found.jobs.values() for name in job.keywords["variables"]} | set(found.variables)
    packed = jobs.packed("off")
    document = expand(packed.files[0].document)
    for name in packed.work.built_by:
        job = document[name]
        told = set(re.findall(r"export (\w+)=", str(job["before_script"][0])))
        assert read & written <= {*job["variables"], *told}
        assert told == {HASH_VARIABLE, NAME_VARIABLE}
