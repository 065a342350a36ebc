"""Package jobs with a hostile recipe, built by real Spacks: what it sees, what it breaks, and what it leaves."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from foundation.errors import InvalidInputError
from foundation.stores.s3_client import s3_client
from job_creator.builds import node_step
from job_creator.builds.node_step import read_records
from job_creator.engines.gitlab.generated import read_generated
from tests.documentation import DOCS
from tests.integration.ceph import KEYS, OTHERS, ceph_environment_fixture, ceph_url_fixture
from tests.integration.reachable import reachable_fixture as reachable_fixture
from tests.integration.real_spack import ROOTS
from tests.integration.signing_keys import key_pair
from tests.integration.spied_job import IN_FILES, READER, SECRETS, SpiedJob, packages
from tests.integration.tiny_spack import TinySpack
from tests.integration.toy_environment import line_of

__all__ = ["ceph_environment_fixture", "ceph_url_fixture"]

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can let others run something"),
]

VARIABLES_PAGE = DOCS / "variables-and-permissions.md"
SEE = "--see PATH,LC_ALL,COLOUR --read AWS_READER_ACCESS_KEY_ID"
READ = READER["AWS_READER_ACCESS_KEY_ID"]


@pytest.fixture(name="job", params=ROOTS)
def job_fixture(reachable: Path, request: pytest.FixtureRequest) -> SpiedJob:
    """A job that can be run."""
    made = SpiedJob(reachable, TinySpack.made(request.param, reachable, packages(reachable)))
    made.prepare(key_pair())
    return made


def states(job: SpiedJob) -> list[str]:
    path = job.artifacts / node_step.OUTCOMES / node_step.RECORDS
    return [f"{record.state} {record.because}".strip() for record in read_records(path.read_bytes(), str(path))]


def test_a_hostile_recipe_sees_no_key_and_breaks_nothing(job: SpiedJob) -> None:
    done = job.run("--apart", SEE)
    assert states(job) == ["built", "built", "built"], done.stdout + done.stderr
    noted = job.noted()
    by_what: dict[str, list[str]] = {}
    for name, text in noted.items():
        what, user, *_ = name.split(".")
        assert user != "0", name
        by_what.setdefault(what, []).append(text)
    # Recipes are imported by whoever installs the dependencies, too, who has the keys that read.
    seen = [text for texts in by_what.values() for text in texts]
    assert not [secret for secret in (*SECRETS.values(), *IN_FILES) if any(secret in text for text in seen)]
    assert any(READ in text for text in by_what["recipe"])
    assert not any(READ in text for what in ("build", "ghost") for text in by_what[what])
    assert all("COLOUR=blue" in text for text in by_what["recipe"])
    # It may leave a link where its logs are, but nobody follows that.
    assert {what for what in by_what if what.startswith("WORKED")} == {"WORKED-note"}
    assert {"refused-write", "refused-move", "refused-dependency", "refused-root"} <= set(by_what)
    artifacts = [path for path in job.artifacts.rglob("*") if path.is_file()]
    assert any(path.name.startswith("spack-build-out") for path in artifacts)
    assert not [path for path in artifacts if path.is_symlink()]
    kept = b"".join(path.read_bytes() for path in artifacts).decode("utf-8", "replace")
    assert not [secret for secret in (*SECRETS.values(), READ, *IN_FILES[1:]) if secret in kept + done.stdout]
    # What it left running has ended with it, and so have the users.
    count = len(job.noted())
    assert not list(job.folder.glob("tmp/job-*"))
    assert str(job.folder) not in Path("/etc/passwd").read_text()
    assert len(job.noted()) == count


def test_what_it_leaves_makes_nobody_root_and_is_signed(job: SpiedJob) -> None:
    job.run("--apart", SEE)
    names = [str(path) for path in job.mirror.rglob("*") if path.is_file()]
    packed = [Path(name) for name in names if tarfile.is_tarfile(name)]
    assert len(packed) == 3
    for path in packed:
        with tarfile.open(path) as archive:
            assert {member.mode & 0o7022 for member in archive} <= {0}
            assert {(member.uid, member.gid) for member in archive} == {(0, 0)}
    manifests = [
        path for path in job.mirror.rglob("*") if path.name.endswith((".spec.manifest.json", ".spec.json.sig"))
    ]
    assert len(manifests) == 3
    assert all("BEGIN PGP SIGNED MESSAGE" in path.read_text() for path in manifests)
    for path in (job.folder / "software").rglob("root-shell"):
        assert path.stat().st_mode & 0o7777 == 0o755
        assert path.stat().st_uid == 0


def test_a_package_that_says_it_is_another_is_not_pushed(job: SpiedJob) -> None:
    done = job.run("--apart", f"{SEE} --see PATH,LIE", LIE="yes")
    assert [state.partition(" ")[0] for state in states(job)] == ["built", "failed", "skipped"]
    assert "is of another package: version differ" in done.stderr
    assert not list(job.mirror.rglob("tiny-spied-1.0*"))


def test_recipes_see_no_key_either_where_an_environment_is_concretized(job: SpiedJob) -> None:
    done = job.concretize()
    assert done.returncode == 0, done.stdout + done.stderr
    noted = job.noted()
    assert {name.split(".")[0] for name in noted} == {"recipe"}
    assert "0" not in {name.split(".")[1] for name in noted}
    assert not [one for one in (*SECRETS.values(), *IN_FILES) if any(one in text for text in noted.values())]
    assert any(READ in text for text in noted.values())
    folder = job.checkout / "scratch" / "spied"
    assert {path.name for path in (folder / node_step.FOLDER).iterdir()} == {node_step.PROGRAM, *node_step.BESIDE}
    beside = folder / "concrete_environment"
    assert (beside / "spack.yaml").read_bytes() == (job.checkout / "merged_spack_spied_amd64.yaml").read_bytes()
    lock, manifest = ((beside / name).read_bytes() for name in ("spack.lock", "spack.yaml"))
    pipeline = (folder / "pipeline.yml").read_bytes()
    found = read_generated("spied", "spied/pipeline.yml", pipeline, lock=lock, environment=manifest)
    assert {step.package for step in found.builds.steps} == {"tiny-lib", "tiny-spied", "tiny-last"}
    changed = pipeline.replace(b"--apart", b"")
    with pytest.raises(InvalidInputError, match="did a recipe change the pipeline"):
        read_generated("spied", "spied/pipeline.yml", changed, lock=lock, environment=manifest)


def test_recipes_see_no_key_either_where_sources_are_mirrored(job: SpiedJob) -> None:
    done = job.mirror_sources()
    assert done.returncode == 0, done.stdout + done.stderr
    noted = job.noted()
    assert noted
    assert "0" not in {name.split(".")[1] for name in noted}
    assert not [one for one in (*SECRETS.values(), READ, *IN_FILES) if any(one in text for text in noted.values())]
    assert any("COLOUR=blue" in text for text in noted.values())
    mirror = job.folder / "sources-mirror"
    (found,) = [path for path in mirror.rglob("*.tar.gz") if not path.is_symlink()]
    assert found.read_bytes() == (job.folder / "upstream" / "tiny-lib-1.0.tar.gz").read_bytes()


@pytest.mark.xdist_group("ceph")
@pytest.mark.parametrize("root", [root for root in ROOTS if line_of(root).credentials_by_variable])
def test_on_s3_who_prepares_reads_with_one_pair_and_root_pushes_with_another(
    root: str, reachable: Path, ceph_environment: str
) -> None:
    client, bucket = s3_client(ceph_environment), "spied"
    client.create_bucket(Bucket=bucket)
    (policy,) = re.findall(r'^\{"Version".+?(?=^```$)', VARIABLES_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    client.put_bucket_policy(Bucket=bucket, Policy=str(policy).replace("my-bucket", bucket))
    reader = ("AWS_READER_ACCESS_KEY_ID", "AWS_READER_SECRET_ACCESS_KEY")
    writer = ("AWS_CACHE_ACCESS_KEY_ID", "AWS_CACHE_SECRET_ACCESS_KEY")
    place = {"url": f"s3://{bucket}/cache", "endpoint_url": ceph_environment}
    cache = {
        use: {**place, "access_pair": dict(zip(("id_variable", "secret_variable"), names, strict=True))}
        for use, names in {"fetch": reader, "push": writer}.items()
    }
    job = SpiedJob(reachable, TinySpack.made(root, reachable, packages(reachable)), cache)
    job.prepare(key_pair())
    keys = dict(zip((*reader, *writer), (*OTHERS["reader"], *KEYS.values()), strict=True))
    options = f"--see PATH,LC_ALL,COLOUR --read {','.join(reader)}"
    done = job.run("--apart", options, **keys)
    assert states(job) == ["built", "built", "built"], done.stdout + done.stderr
    seen = job.noted()
    assert any(OTHERS["reader"][1] in text for text in seen.values())
    assert not [one for one in KEYS.values() if any(one in text for text in seen.values())]
    shutil.rmtree(job.folder / "software")
    done = job.run("--apart", options, **keys)
    assert [state.partition(" ")[0] for state in states(job)] == ["reused"] * 3, done.stdout + done.stderr


def test_without_another_user_it_would_see_everything(job: SpiedJob) -> None:
    """Which shows that the recipe looks where there is something."""
    job.run()
    seen = "\n".join(job.noted().values())
    assert [secret for secret in (*SECRETS.values(), READ, *IN_FILES[:2]) if secret not in seen] == []
