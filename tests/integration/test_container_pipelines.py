"""`jc generate-spacktainer-workflow` with a real registry and a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.registries.connections import LARGEST_DOCUMENT
from foundation.stores.s3_client import S3Location, s3_client
from foundation.yaml_io import parse
from job_creator.__main__ import main
from job_creator.engines.gitlab.names import NOTHING_TO_DO
from job_creator.publishing.record import PublicationRecord
from tests.integration.registry_server import (
    GROUP,
    Answer,
    Registry,
    TokenService,
    push_image,
    push_index,
    run_registry,
    serve,
)
from tests.integration.s3_server import new_bucket, s3_environment_fixture, s3_url_fixture
from tests.locks import lockfile, write_environment
from tests.samples import DEFAULT_BRANCH, MERGE_REQUEST, write_repository

__all__ = ["s3_environment_fixture", "s3_url_fixture"]

CONTAINERS = f"{GROUP}containers"
SITE = """\
registry: {{image: "{host}/{group}", label_prefix: org.example}}
spack:
  ref: v1.1.0
  packages: {{repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}}
architectures:
  amd64:
    runner_tags: [big]
    build_cache: {{bucket: cache-amd64}}
    containers: {{bucket: {bucket}, endpoint: "{s3}"}}
"""
DEFINITIONS = {
    "container_definitions/amd64/hdf5.yaml": "spack:\n  specs: [hdf5@1.14 +mpi, zlib]\n",
    "container_definitions/amd64/nexus.def": "Bootstrap: docker\nFrom: {host}/public/nexus:1.9\n",
    "spacktainer/Dockerfile.j2": "FROM {{{{ builder }}}} AS install\nFROM {{{{ runtime }}}}\n{{{{ epilogue }}}}\n",
    "spacktainer/image/install.sh": "true\n",
}


class Project:
    """A repository whose definitions are concretized, a registry and a bucket."""

    def __init__(self, root: Path, registry: Registry, s3: str) -> None:
        self.root, self.registry, self.s3 = root, registry, s3
        self.group = f"{GROUP}{root.parent.name.replace('_', '-')}".lower()
        self.bucket = new_bucket(s3_client(s3))
        files = {name: text.format(host=registry.host) for name, text in DEFINITIONS.items()}
        site = SITE.format(host=registry.host, group=self.group, bucket=self.bucket, s3=s3)
        write_repository(root, files, site)
        write_environment(root / "jobs_scratch_dir.amd64" / "hdf5")
        for name in ("builder", "runtime"):
            self.push_base(name)
        assert registry.tokens is not None
        self.environment = {
            **DEFAULT_BRANCH,
            "CI_PIPELINE_ID": "4711",
            "CI_REGISTRY_USER": registry.tokens.user,
            "CI_REGISTRY_PASSWORD": registry.tokens.password,
        }

    def push_base(self, name: str, version: str = "1") -> str:
        """Put a base image into the registry."""
        repository = f"{self.group}/{name}"
        digest = push_image(self.registry, repository, "amd64", "amd64", {"version": version})
        return push_index(self.registry, repository, "latest", {"amd64": digest})

    def jc(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run the command in the repository."""
        command = ["-C", str(self.root), "generate-spacktainer-workflow", "--architecture", "amd64"]
        command += ["--environments", str(self.root / "jobs_scratch_dir.amd64"), "--out-dir", str(self.out)]
        return CliRunner().invoke(
            main, [*command, *arguments], env={**self.environment, **(environment or {})}, catch_exceptions=False
        )

    @property
    def out(self) -> Path:
        """The folder of generated files."""
        return self.root / "out"

    def job_names(self) -> list[str]:
        """The jobs that were written."""
        document = parse((self.out / "spacktainer_pipeline.yaml").read_bytes(), "p").value
        return [name for name in document if name not in ("workflow", "stages") and not name.startswith(".")]

    def publish_all(self) -> None:
        """Make registry and bucket as the jobs would leave them."""
        for folder in sorted(path for path in self.out.iterdir() if path.is_dir()):
            lines = (folder / "labels").read_text().splitlines()
            labels = dict(line.split("=", 1) for line in lines)
            record = PublicationRecord.from_json((folder / "record.json").read_text(), "record.json")
            repository = f"{self.group}/{folder.name}"
            digest = push_image(self.registry, repository, record.tag, "amd64", labels)
            push_index(self.registry, repository, record.tag.removesuffix("-amd64"), {"amd64": digest})
            published = replace(record, image_digest=digest, sha256="e" * 64, size=0)
            place = S3Location(self.bucket, "containers") / record.file_name
            s3_client(self.s3).put_object(
                Bucket=place.bucket, Key=place.key, Body=b"", Metadata=published.to_metadata()
            )


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService()) as running:
        push_image(running, "public/nexus", "1.9", "amd64", {"from": "upstream"})
        yield running


@pytest.fixture
def project(registry: Registry, s3_environment: str, tmp_path: Path) -> Project:
    return Project(tmp_path / "repository", registry, s3_environment)


ALL = [
    "build hdf5 container for amd64",
    "create hdf5 sif file for amd64",
    "tag hdf5",
    "build nexus container for amd64",
    "create nexus sif file for amd64",
    "tag nexus",
]


def test_what_is_not_published_is_built_and_then_there_is_nothing_to_do(project: Project) -> None:
    result = project.jc()
    assert result.exit_code == ExitCode.OK, result.output
    assert project.job_names() == ALL
    assert "container    hdf5         amd64  build   not published yet" in result.output
    project.publish_all()
    result = project.jc()
    assert project.job_names() == [NOTHING_TO_DO]
    assert "published and up to date" in result.output


def test_a_new_base_image_builds_the_containers_anew(project: Project) -> None:
    """D16: the decision ignored the builder and runtime images."""
    project.jc()
    project.publish_all()
    project.push_base("runtime", "2")
    result = project.jc()
    assert project.job_names() == ALL[:3]
    assert "runtime is sha256:" in result.output


def test_another_commit_of_spack_with_the_same_packages_builds_nothing(project: Project) -> None:
    """D18: the checksum over the lockfile's bytes changed with every commit of Spack."""
    project.jc()
    project.publish_all()
    lock = project.root / "jobs_scratch_dir.amd64" / "hdf5" / "concrete_environment" / "spack.lock"
    lock.write_bytes(lockfile(commit="other"))
    project.jc()
    assert project.job_names() == [NOTHING_TO_DO]


def test_a_new_upstream_image_builds_the_container_anew(project: Project) -> None:
    project.jc()
    project.publish_all()
    push_image(project.registry, "public/nexus", "1.9", "amd64", {"from": "upstream", "new": "yes"})
    try:
        project.jc()
        assert project.job_names() == ALL[3:]
    finally:
        push_image(project.registry, "public/nexus", "1.9", "amd64", {"from": "upstream"})


def test_the_rest_goes_on_where_one_environment_is_missing(project: Project) -> None:
    lock = project.root / "jobs_scratch_dir.amd64" / "hdf5" / "concrete_environment" / "spack.lock"
    lock.unlink()
    result = project.jc()
    assert result.exit_code == ExitCode.OK, result.output
    assert project.job_names() == [ALL[0], *ALL[3:]]
    assert "its environment was not concretized" in result.output
    document = parse((project.out / "spacktainer_pipeline.yaml").read_bytes(), "p").value
    assert document[ALL[0]]["script"][-1].endswith("exit 1\n")


def test_a_damaged_lockfile_is_named_and_the_rest_goes_on(project: Project) -> None:
    lock = project.root / "jobs_scratch_dir.amd64" / "hdf5" / "concrete_environment" / "spack.lock"
    lock.write_bytes(lock.read_bytes()[:100])
    result = project.jc()
    assert result.exit_code == ExitCode.OK, result.output
    assert "is the file truncated?" in result.output


def test_an_upstream_image_that_is_gone_fails_alone(project: Project) -> None:
    definition = project.root / "container_definitions" / "amd64" / "nexus.def"
    definition.write_text(f"Bootstrap: docker\nFrom: {project.registry.host}/public/other:1\n")
    result = project.jc()
    assert result.exit_code == ExitCode.OK, result.output
    assert project.job_names() == [ALL[3], *ALL[:3]]
    assert "does not exist" in result.output


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(401), "HTTP 401: the registry wants a user and password"),
        (Answer(403), "HTTP 403 Forbidden"),
        (Answer(429), "HTTP 429 Too Many Requests"),
        (Answer(500), "HTTP 500 Internal Server Error"),
        (Answer(301), "HTTP 301 Moved Permanently"),
        (Answer(302, headers={"Location": "/v2/"}), "redirected in a circle by"),
        (Answer(200, b"<html>Welcome</html>"), "the answer is no JSON"),
        (Answer(200, b"[" * 100_000), "the answer is no JSON"),
        (Answer(200, bytes(LARGEST_DOCUMENT + 1)), "the answer is larger than 4 MiB"),
        (None, "cannot connect to 127.0.0.1:1"),
    ],
)
def test_an_upstream_registry_that_gives_no_answer_fails_alone(
    project: Project, answer: Answer | None, said: str
) -> None:
    with serve(lambda _: answer) as upstream:
        host = upstream.host if answer else "127.0.0.1:1"
        definition = project.root / "container_definitions" / "amd64" / "nexus.def"
        definition.write_text(f"Bootstrap: docker\nFrom: {host}/group/other:1\n")
        result = project.jc()
    assert result.exit_code == ExitCode.OK, result.output
    assert project.job_names() == [ALL[3], *ALL[:3]]
    written = parse((project.out / "spacktainer_pipeline.yaml").read_bytes(), "p").value
    (script,) = written[ALL[3]]["script"]
    assert f"container_definitions/amd64/nexus.def: {host}/group/other:1: {said}" in script


def test_an_upstream_image_of_this_project_is_not_left_out_without_an_answer(project: Project) -> None:
    definition = project.root / "container_definitions" / "amd64" / "nexus.def"
    definition.write_text(f"Bootstrap: docker\nFrom: {project.registry.host}/{project.group}/other:1\n")
    result = project.jc(environment={"CI_REGISTRY_PASSWORD": "wrong"})
    assert result.exit_code == ExitCode.COULD_NOT_ASK


def test_the_record_of_an_image_that_stays_names_the_lockfile_in_it(project: Project) -> None:
    project.jc()
    before = (project.out / "hdf5" / "record.json").read_bytes()
    project.publish_all()
    lock = project.root / "jobs_scratch_dir.amd64" / "hdf5" / "concrete_environment" / "spack.lock"
    lock.write_bytes(lockfile(commit="other"))
    client = s3_client(project.s3)
    (found,) = [one for one in client.list_objects_v2(Bucket=project.bucket)["Contents"] if "hdf5" in one["Key"]]
    client.delete_object(Bucket=project.bucket, Key=found["Key"])
    project.jc()
    assert project.job_names() == [ALL[1]]
    assert (project.out / "hdf5" / "record.json").read_bytes() == before


def test_a_comment_in_a_definition_or_an_epilogue_builds_nothing(project: Project) -> None:
    folder = project.root / "container_definitions" / "amd64"
    (folder / "hdf5").mkdir()
    (folder / "hdf5.yaml").rename(folder / "hdf5" / "spack.yaml")
    (folder / "hdf5" / "Dockerfile.epilogue").write_text("LABEL a=b\n")
    definition = (folder / "nexus.def").read_text()
    (folder / "nexus.def").write_text(f"{definition}%post\n  true\n")
    first = project.jc()
    assert first.exit_code == ExitCode.OK, first.output
    project.publish_all()
    (folder / "hdf5" / "Dockerfile.epilogue").write_text("# why\nLABEL a=b\n\n")
    (folder / "nexus.def").write_text(f"# who\n{definition}# when\n%post\n  # how\n  true # and what\n")
    result = project.jc()
    assert project.job_names() == [NOTHING_TO_DO], result.output


def test_an_architecture_of_imported_images_only_needs_no_spack(project: Project) -> None:
    """D28: such an architecture ended in UnboundLocalError."""
    (project.root / "container_definitions" / "amd64" / "hdf5.yaml").unlink()
    result = project.jc()
    assert result.exit_code == ExitCode.OK, result.output
    assert project.job_names() == ALL[3:]


def test_a_missing_base_image_is_an_error_that_names_it(project: Project) -> None:
    result = project.jc(environment={"BUILDER_IMAGE": f"{project.registry.host}/{project.group}/builder:gone"})
    assert result.exit_code == ExitCode.NOT_THERE
    assert "builder:gone: there is no such image for amd64; has its job succeeded?" in result.output


def test_a_bucket_without_an_answer_decides_nothing(project: Project) -> None:
    """D59: 403 and 500 counted as "there is no SIF file"."""
    site = project.root / "spacktainers.yaml"
    site.write_text(
        site.read_text().replace(project.bucket, "no-such-bucket-here").replace(project.s3, "http://127.0.0.1:1")
    )
    result = project.jc(environment={"AWS_MAX_ATTEMPTS": "1"})
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert not project.out.exists()


def test_a_registry_that_refuses_decides_nothing(project: Project) -> None:
    result = project.jc(environment={"CI_REGISTRY_PASSWORD": "wrong"})
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert not project.out.exists()


def test_an_unknown_architecture_is_named(project: Project) -> None:
    result = project.jc("--architecture", "amd46")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "the site file knows no architecture 'amd46'; did you mean 'amd64'?" in result.output


def test_a_forced_container_is_built_although_it_is_there(project: Project) -> None:
    project.jc()
    project.publish_all()
    project.jc("--force", "hdf5")
    assert project.job_names() == ALL[:3]
    result = project.jc("--force", "hdf")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "there is no container or base image 'hdf' to be forced; did you mean 'hdf5'?" in result.output


def test_only_the_chosen_containers_are_looked_at(project: Project) -> None:
    project.jc(environment={"SPACKTAINERS_ONLY": "hdf5"})
    assert project.job_names() == [name for name in ALL if "hdf5" in name]
    project.publish_all()
    project.jc("--only", "hdf5", "--force", "builder")
    assert project.job_names() == [NOTHING_TO_DO]


def test_offline_everything_is_planned_and_nobody_asked(project: Project) -> None:
    result = project.jc("--offline", environment={"CI_REGISTRY_PASSWORD": "wrong"})
    assert result.exit_code == ExitCode.OK, result.output
    assert project.job_names() == ALL


def test_the_plan_is_there_for_machines(project: Project) -> None:
    value = json.loads(project.jc("--format", "json").stdout)
    assert value["jobs"] == ALL
    first = value["decisions"][0]
    assert (first["subject"], first["name"], first["action"]) == ("container", "hdf5", "build")


def test_no_secret_is_in_anything_that_is_written(project: Project) -> None:
    secrets = {
        "AWS_CACHE_SECRET_ACCESS_KEY": "planted-cache-secret",
        "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY": "planted-infrastructure-secret",
        "DOCKERHUB_PASSWORD": "planted-hub-secret",
        "GITLAB_API_TOKEN": "planted-api-token",
    }
    for environment in (secrets, {**secrets, **MERGE_REQUEST}):
        result = project.jc("--format", "json", environment=environment)
        assert result.exit_code == ExitCode.OK, result.output
        written = result.output + "".join(path.read_text() for path in project.out.rglob("*") if path.is_file())
        assert project.environment["CI_REGISTRY_PASSWORD"] not in written
        assert "planted" not in written
