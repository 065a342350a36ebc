"""From a lockfile to a container in a registry, a bucket and on a cluster: the generated jobs, run for real.

buildah, a registry with tokens and TLS, Apptainer and an S3 server; a stand-in lays the software out.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Any

import pytest

from foundation.openpgp.frame import dearmored
from foundation.registries.artifacts import read_referrer, referrers
from foundation.registries.images import RegistryClient
from foundation.registries.published import Published, Query
from foundation.registries.reference import parse_reference
from foundation.sif.files import open_sif
from foundation.spack.lockfile import nodes_in, read_lockfile
from foundation.stores.s3_client import s3_client
from foundation.yaml_io import parse
from job_creator.engines.gitlab.jobs.images import build_job as base_image_job
from job_creator.engines.gitlab.names import BASE_BRIDGE, NOTHING_TO_DO, containers_job, environment_job
from job_creator.engines.gitlab.objects import expand
from job_creator.images.base_images import DecidedImage, ImageSources, base_image
from job_creator.images.decisions import Action, Decision, Subject
from job_creator.images.knowledge import Judgement
from job_creator.provenance.namespaces import Namespace
from job_creator.publishing.record import PublicationRecord
from job_creator.sbom.difference import read_document
from job_creator.scripts.rendering import render
from job_creator.site.publish import DockerHub
from job_creator.site.registries import Registry as SiteRegistry
from job_creator.site.site import read_site
from tests.fakes.gitlab import FakeGitLab, FakeJob
from tests.integration.apptainer import Apptainer, apptainer_for
from tests.integration.base_images import buildah_in, debian_root, import_root, shared_folder
from tests.integration.cached_packages import cached_package
from tests.integration.components import require
from tests.integration.registry_server import GROUP, Registry, TokenService, read_blob, read_manifest, run_registry
from tests.integration.runner import Done, machine, run_pipeline, run_script
from tests.integration.s3_server import new_bucket, s3_server
from tests.integration.same_images import content
from tests.integration.signing_keys import key_pair
from tests.locks import ENVIRONMENT, lockfile, write_environment
from tests.samples import DEFAULT_BRANCH, REPOSITORY, write_repository

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("images")]

LOCK = lockfile([("app@1.2", "app", "1.2.3")])
BINARY = read_lockfile(LOCK, "spack.lock").roots[0]
RUN = token_hex(4)
"""Makes secrets those of this run: lists of processes show those of other runs as well."""
SECRETS = {
    "AWS_CACHE_ACCESS_KEY_ID": f"planted-cache-id-{RUN}",
    "AWS_CACHE_SECRET_ACCESS_KEY": f"planted/cache+secret-{RUN}",
    "AWS_INFRASTRUCTURE_ACCESS_KEY_ID": f"planted-bucket-id-{RUN}",
    "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY": f"planted/bucket+secret-{RUN}",
    # No job of these containers needs what follows, and GitLab gives all of it to each of them.
    "CI_JOB_TOKEN": f"planted-job-token-{RUN}",
    "DOCKERHUB_PASSWORD": f"planted-hub-password-{RUN}",
    "GITLAB_API_TOKEN": f"planted-api-token-{RUN}",
    "APPTAINERENV_PLANTED": f"planted-for-apptainer-{RUN}",
    "SINGULARITYENV_PLANTED": f"planted-for-singularity-{RUN}",
    "SOMETHING_ELSE": f"planted-something-{RUN}",
}
CHECKOUT_TOKEN = f"planted-checkout-token-{RUN}"
"""Stands in the checkout's .git/config, where GitLab puts the token of a job."""
KEPT_BESIDE = f"planted-file-variable-{RUN}"
"""Stands in a file beside the checkout, where GitLab puts variables of the type "File"."""
SPY = """\
(
  echo "spying as $0 in $PWD"
  env
  for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo; do tr '\\0' '\\n' < "$file"; done
  for place in "" /proc/[0-9]*/root /proc/[0-9]*/cwd; do
    cat "$place{checkout}/.git/config" "$place/.git/config" "$place{checkout}.tmp"/KEY* "$place/checkout/.git/config"
  done
  cat /proc/[0-9]*/root{machine}/tmp.*/*/* /proc/[0-9]*/root{machine}/tmp.*/* {machine}/tmp.*/*/*
  find / -xdev -path /proc -prune -o \\( -path '*/.git/config' -o -name auth.json -o -name 'KEY*' \\) -exec cat {{}} +
) >&2 2> /dev/null || :
"""
"""What foreign code prints of all that it can see. It can be run and sourced."""
SITE = """\
registry: {{image: "{host}/group/containers", label_prefix: org.example}}
spack:
  ref: v1.1.0
  packages: {{repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}}
images:
  buildah: {{storage_driver: {driver}}}
architectures:
  amd64:
    runner_tags: [big]
    build_cache: {{bucket: cache-amd64}}
    containers: {{bucket: {bucket}, endpoint: "{s3}"}}
publish:
  clusters:
    alps: {{directory: "{cluster}", runner_tags: [alps]}}
"""
APP = f"""\
spack:
  specs: [app@1.2]
spacktainer:
  files: [files/app/greeting:/opt/greeting, files/app/spy.sh:/opt/spy.sh]
  test:
    - {BINARY} "smoke test"
    - sh /opt/spy.sh
    - test "$(cat /opt/greeting)" = hello
"""
EPILOGUE = """\
RUN sh /opt/spy.sh
LABEL org.example.from-the-epilogue="yes"
"""
WRAPPED = """\
Bootstrap: docker
From: {host}/public/upstream:2.0

%labels
    from-the-definition yes
%files
    spacktainer/files/app/greeting /opt/greeting
%post
    sh /spy.sh
    mkdir /made-by-post
%test
    sh /spy.sh
    test -d /made-by-post
    test "$(cat /opt/greeting)" = hello
%runscript
    echo "wrapped: $1"
"""
UPSTREAM = """\
FROM localhost/runtime
COPY spy.sh /spy.sh
COPY status /var/lib/dpkg/status
RUN mkdir -p /.singularity.d/env && cp /spy.sh /.singularity.d/env/99-spy.sh
ENV BASH_ENV=/spy.sh ENV=/spy.sh
ENTRYPOINT ["/bin/sh", "/spy.sh"]
ONBUILD COPY . /checkout
ONBUILD RUN sh /spy.sh
"""
"""An image of somebody who would like to know more of those who wrap it."""
STAND_IN = f"""\
FROM localhost/runtime
COPY spack /usr/local/bin/spack
RUN mkdir /opt/binaries && touch /opt/binaries/{BINARY}
"""

RUNTIME = """\
FROM localhost/runtime
COPY apt-get /usr/local/bin/apt-get
COPY status /var/lib/dpkg/status
ENV APP_HOME=/of/the/runtime/image OTHER=kept
"""
APT = '#!/bin/sh\necho "$DEBIAN_FRONTEND: $*" >> /etc/asked-of-apt\n'
"""Writes down what it is asked for: there are no packages of the distribution where tests run."""
COMMUNITY = "https://community.example.org/cache"
ASKED: Mapping[str, Any] = {
    **{name: value for name, value in ENVIRONMENT.items() if name != "mirrors"},
    "mirrors:": {"buildcache-destination": {"url": "s3://cache-amd64"}, "community": COMMUNITY},
    "specs": ["app@1.2"],
    "repos": {"own": "$CI_PROJECT_DIR/recipes/own"},
    "view": {"default": {"root": "/opt/view"}, "more": {"root": "/opt/more-tools", "select": ["app"]}},
    "container": {"labels": {"org.example.asked": "for 'this'"}, "os_packages": {"final": ["libgomp1", "libnuma1"]}},
}


@dataclass(frozen=True)
class Site:
    """A checkout with everything around it."""

    root: Path
    registry: Registry
    s3: str
    bucket: str
    cluster: Path
    environment: Mapping[str, str]
    apptainer: Apptainer

    def generate(self, *options: str) -> dict[str, Any]:
        """Run the job that writes the pipeline. Returns the pipeline."""
        command = [sys.executable, "-m", "job_creator", "generate-spacktainer-workflow", "--architecture", "amd64"]
        command += ["--out-dir", "spacktainer.artifacts.amd64", *options]
        keys = {
            "AWS_ACCESS_KEY_ID": SECRETS["AWS_INFRASTRUCTURE_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": SECRETS["AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY"],
        }
        done = subprocess.run(
            command, cwd=self.root, env={**self.environment, **keys}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        written = (self.root / "spacktainer.artifacts.amd64" / "spacktainer_pipeline.yaml").read_bytes()
        pipeline: dict[str, Any] = parse(written, "p").value
        return pipeline

    def run(self, pipeline: Mapping[str, Any]) -> dict[str, Done]:
        """Run its jobs."""
        return run_pipeline(pipeline, self.root, self.environment)

    @property
    def secrets(self) -> list[str]:
        """What nobody may see but the jobs, and of those no foreign code."""
        key = Path(self.environment["SPACK_DEPLOYMENT_KEY_PRIVATE"]).read_text().splitlines()
        lines = [line for line in key if len(line) == 64]
        assert lines
        return [*SECRETS.values(), self.environment["CI_REGISTRY_PASSWORD"], CHECKOUT_TOKEN, KEPT_BESIDE, *lines]

    def published(self, image: str) -> Published | None:
        """What the registry has for a reference."""
        query = Query(f"{self.registry.host}/{GROUP}{image}", "amd64")
        os.environ["REQUESTS_CA_BUNDLE"] = str(self.registry.certificate)
        return RegistryClient(self.registry.credentials).look_up([query])[query]

    def objects(self) -> dict[str, PublicationRecord | None]:
        """What is in the bucket."""
        client = s3_client(self.s3)
        keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]
        return {
            key: PublicationRecord.from_metadata(client.head_object(Bucket=self.bucket, Key=key)["Metadata"])
            for key in keys
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Registry, bucket and cluster are empty but for the base images and an image to be wrapped."""
    folder = tmp_path_factory.mktemp("site")
    apptainer = apptainer_for(folder)
    for program in ("skopeo", "buildah"):
        require(program)
    (folder / "registry").mkdir()
    with pytest.MonkeyPatch.context() as patch, s3_server() as s3:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, SECRETS[name.replace("AWS", "AWS_INFRASTRUCTURE")])
        patch.setenv("NO_PROXY", "*")
        with run_registry(folder / "registry", TokenService(), tls=True) as registry:
            patch.setenv("REQUESTS_CA_BUNDLE", str(registry.certificate))
            driver = _push_base_images(folder, registry, shared_folder(tmp_path_factory))
            (folder / "checkout.tmp").mkdir()
            (folder / "checkout.tmp" / "KEY").write_text(KEPT_BESIDE)
            pair = key_pair()
            for name, key in (("KEY_PRIVATE", pair.private), ("KEY_PUBLIC", pair.public)):
                (folder / "checkout.tmp" / name).write_bytes(key)
            bucket, cluster = new_bucket(s3_client(s3)), folder / "cluster"
            s3_client(s3).create_bucket(Bucket="cache-amd64")
            for name, content in cached_package(nodes_in(LOCK, "")[BINARY], pair).items():
                s3_client(s3).put_object(Bucket="cache-amd64", Key=name, Body=content, ACL="public-read")
            cluster.mkdir()
            values = {"host": registry.host, "driver": driver, "bucket": bucket, "s3": s3, "cluster": cluster}
            here = machine(folder / "machine", registry)
            environment = {
                **here,
                **DEFAULT_BRANCH,
                **SECRETS,
                "PATH": f"{apptainer.program.parent}:{here['PATH']}",
                "SPACK_DEPLOYMENT_KEY_PRIVATE": str(folder / "checkout.tmp" / "KEY_PRIVATE"),
                "SPACK_DEPLOYMENT_KEY_PUBLIC": str(folder / "checkout.tmp" / "KEY_PUBLIC"),
                "CI_PIPELINE_ID": "4711",
                "CI_PIPELINE_URL": "https://gitlab.example.org/group/containers/-/pipelines/4711",
                "CI_REGISTRY_IMAGE": f"{registry.host}/{GROUP}containers",
                "PYTHONPATH": str(REPOSITORY),
            }
            yield Site(_repository(folder / "checkout", values), registry, s3, bucket, cluster, environment, apptainer)


def _push_base_images(folder: Path, registry: Registry, shared: Path) -> str:
    """Put builder, runtime and an image to be wrapped into the registry. Returns the storage driver that works here."""
    assert registry.tokens is not None
    buildah = buildah_in(folder / "buildah", SSL_CERT_FILE=str(registry.certificate))
    import_root(buildah, debian_root(shared), "localhost/runtime")
    context = folder / "stand-in"
    context.mkdir()
    shutil.copy(REPOSITORY / "tests" / "integration" / "stand_in_spack.sh", context / "spack")
    (context / "spack").chmod(0o755)
    (context / "Dockerfile").write_text(STAND_IN)
    buildah("build", "--quiet", "--pull-never", "--tag", "localhost/builder", context)
    (context / "apt-get").write_text(APT)
    shutil.copy(debian_root(shared) / "var" / "lib" / "dpkg" / "status", context / "status")
    (context / "apt-get").chmod(0o755)
    (context / "Dockerfile").write_text(RUNTIME)
    buildah("build", "--quiet", "--pull-never", "--tag", "localhost/runtime-with-variables", context)
    (context / "spy.sh").write_text(SPY.format(checkout=folder / "checkout", machine=folder / "machine"))
    (context / "Dockerfile").write_text(UPSTREAM)
    buildah("build", "--quiet", "--pull-never", "--tag", "localhost/upstream", context)
    login = f"{registry.tokens.user}:{registry.tokens.password}"
    for image, target in {
        "builder": f"{GROUP}containers/builder:latest",
        "runtime-with-variables": f"{GROUP}containers/runtime:latest",
        "upstream": f"{GROUP}containers/upstream:latest",
    }.items():
        buildah("push", "--quiet", "--creds", login, f"localhost/{image}", f"docker://{registry.host}/{target}")
    _copy_to_public(registry, buildah.environment)
    return "overlay" if 'driver = "overlay"' in (folder / "buildah" / "storage.conf").read_text() else "vfs"


def _copy_to_public(registry: Registry, environment: Mapping[str, str]) -> None:
    """An image as somebody else published it; the token service lets nobody write there but us."""
    assert registry.tokens is not None
    source = f"docker://{registry.host}/{GROUP}containers/upstream:latest"
    target = f"docker://{registry.host}/public/upstream:2.0"
    token = registry.tokens.authorization("public/upstream").removeprefix("Bearer ")
    command = ["skopeo", "copy", "--src-creds", f"{registry.tokens.user}:{registry.tokens.password}"]
    command += ["--dest-registry-token", token, source, target]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _repository(root: Path, values: Mapping[str, Any]) -> Path:
    files = {
        "container_definitions/amd64/app/spack.yaml": APP,
        "container_definitions/amd64/app/Dockerfile.epilogue": EPILOGUE,
        "container_definitions/amd64/wrapped.def": WRAPPED.format(**values),
        "recipes/own/repo.yaml": "repo: {namespace: own, api: v2.0}\n",
        "spacktainer/files/app/greeting": "hello",
        "spacktainer/files/app/spy.sh": SPY.format(checkout=root, machine=root.parent / "machine"),
        ".git/config": f"[http]\n\textraHeader = {CHECKOUT_TOKEN}\n",
    }
    write_repository(root, files, SITE.format(**values))
    for name in ("Dockerfile.j2", "image"):
        source = REPOSITORY / "spacktainer" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / "spacktainer" / name)
    write_environment(root / "jobs_scratch_dir.amd64" / "app", ASKED, LOCK)
    return root


@pytest.fixture(scope="module")
def listed() -> set[str]:
    """All command lines that a process list showed while the pipeline ran."""
    return set()


@pytest.fixture(scope="module")
def done(site: Site, listed: set[str]) -> dict[str, Done]:
    """The whole pipeline, run once, while somebody looks at the list of processes."""
    pipeline, ended = site.generate(), Event()

    def look() -> None:
        while not ended.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    listed.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watching = Thread(target=look)
    watching.start()
    try:
        return site.run(pipeline)
    finally:
        ended.set()
        watching.join()


def test_all_jobs_of_both_containers_succeed(done: dict[str, Done]) -> None:
    assert not [f"{one.name}:\n{one.log}" for one in done.values() if not one.succeeded]
    assert set(done) == {
        f"{prefix} {name} {suffix}".strip()
        for name in ("app", "wrapped")
        for prefix, suffix in (
            ("build", "container for amd64"),
            ("sign", "for amd64"),
            ("create", "sif file for amd64"),
            ("sign", "sif file for amd64"),
            ("tag", ""),
            ("download", "SIF to alps"),
        )
    }


def test_the_image_says_what_it_is_under_all_its_names(site: Site, done: dict[str, Done]) -> None:
    tagged = site.published("containers/app:1.2.3-amd64")
    assert tagged is not None
    lock = site.root / "jobs_scratch_dir.amd64" / "app" / "concrete_environment" / "spack.lock"
    assert tagged.labels["org.opencontainers.image.version"] == "1.2.3"
    assert tagged.labels["org.opencontainers.image.source"] == site.environment["CI_PROJECT_URL"]
    assert tagged.labels["org.example.from-the-epilogue"] == "yes"
    assert len(tagged.labels["org.example.container_checksum"]) == 64
    sums = subprocess.run(["sha256sum", lock], capture_output=True, text=True, check=True).stdout
    assert tagged.labels["org.example.spack_lock_sha256"] == sums.split()[0]
    found = site.published("containers/app:1.2.3")
    assert found is not None
    assert found.digest == tagged.digest


def test_the_bucket_has_the_sif_files_with_their_records_and_nothing_else(site: Site, done: dict[str, Done]) -> None:
    records = site.objects()
    markers = {f"containers/installed/alps/{name}.current" for name in ("app", "wrapped")}
    proofs = {key for key in records if key.startswith("containers/signed/")}
    assert len(proofs) == 4, "the records of both, and their signatures"
    bills = {key for key in records if key.startswith("containers/sbom/")}
    assert bills == {
        f"containers/sbom/{name}{suffix}"
        for name in ("app__1.2.3-amd64.sif", "wrapped__2.0-amd64.sif")
        for suffix in (".cdx.json", ".spdx.json")
    }
    records = {key: record for key, record in records.items() if key not in proofs | bills}
    assert set(records) == markers | {
        f"containers/{folder}{name}"
        for folder in ("", "installed/alps/")
        for name in ("app__1.2.3-amd64.sif", "wrapped__2.0-amd64.sif")
    }
    records = {key: record for key, record in records.items() if key not in markers}
    image = site.published("containers/app:1.2.3-amd64")
    assert image is not None
    for record in records.values():
        assert record is not None
        assert record.is_release
        assert record.ref == "refs/heads/main"
    record = records["containers/app__1.2.3-amd64.sif"]
    assert record is not None
    assert record.image_digest == image.digest
    assert record.container_checksum == image.labels["org.example.container_checksum"]


def test_the_sif_file_on_the_cluster_runs_and_says_what_it_is(site: Site, done: dict[str, Done]) -> None:
    sif = site.cluster / "app" / "current"
    assert sif.resolve().is_file()
    assert site.apptainer("run", sif, BINARY, "a  b", "c").strip() == f"{BINARY} 2 a  b c"
    assert site.apptainer("exec", sif, BINARY, "x").strip() == f"{BINARY} 1 x"
    assert "smoke test" in site.apptainer("test", sif)
    labels = json.loads(site.apptainer("inspect", "--json", "--labels", sif))["data"]["attributes"]["labels"]
    image = site.published("containers/app:1.2.3-amd64")
    assert image is not None
    assert labels["org.example.container_checksum"] == image.labels["org.example.container_checksum"]
    assert labels["org.example.spack_lock_sha256"] == image.labels["org.example.spack_lock_sha256"]


def test_the_sif_file_and_its_record_are_signed_where_no_foreign_code_runs(site: Site, done: dict[str, Done]) -> None:
    assert all("spying as" not in one.log for name, one in done.items() if name.startswith("sign "))
    folder = site.cluster.parent / "keys"
    folder.mkdir(mode=0o700)
    public = Path(site.environment["SPACK_DEPLOYMENT_KEY_PUBLIC"])
    (folder / "pgp-public").write_bytes(dearmored(public.read_bytes()))
    sif = (site.cluster / "app" / "current").resolve()
    rings = {"APPTAINER_KEYSDIR": str(folder), "SINGULARITY_KEYSDIR": str(folder)}
    shown = site.apptainer("verify", "--local", sif, **rings)
    assert "Signing entity: Site <ci@example.org>" in shown
    listed = subprocess.run(
        [
            *(sys.executable, "-m", "job_creator", "list-sif", f"s3://{site.bucket}/containers"),
            *("--endpoint-url", site.s3, "--public-key", public),
        ],
        env={**site.environment, **{name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.rpartition(", ")[2] for line in listed.stdout.splitlines()] == ["proven", "proven"]
    home = Path(site.environment["HOME"])
    assert not [path for path in home.rglob("*") if path.name in ("pgp-secret", "secring.gpg", "private-keys-v1.d")]


def verified(site: Site, target: str | Path, *more: str) -> tuple[int, dict[str, Any]]:
    """What `jc verify` says, by a user of the cluster who has the site's public key."""
    command = [sys.executable, "-m", "job_creator", "verify", str(target), "--json", *more]
    command += ["--key", site.environment["SPACK_DEPLOYMENT_KEY_PUBLIC"]]
    assert site.registry.tokens is not None
    login = f"{site.registry.tokens.user}:{site.registry.tokens.password}".encode()
    logins = site.cluster.parent / "logins.json"
    logins.write_text(json.dumps({"auths": {site.registry.host: {"auth": base64.b64encode(login).decode()}}}))
    names = ("PATH", "PYTHONPATH", "REQUESTS_CA_BUNDLE", "NO_PROXY")
    environment = {**{name: site.environment[name] for name in names}, "REGISTRY_AUTH_FILE": str(logins)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def links_of(value: Mapping[str, Any]) -> dict[str, str]:
    """The links of a chain with their states."""
    found = {str(value["name"]): str(value["state"])} if "name" in value else {}
    for link in value.get("links", ()):
        found |= links_of(link)
    return found


@pytest.mark.parametrize("name", ["app", "wrapped"])
def test_a_user_of_the_cluster_proves_a_container_without_a_network(
    site: Site, done: dict[str, Done], tmp_path: Path, name: str
) -> None:
    code, value = verified(site, site.cluster / name / "current")
    assert (code, value["first_broken"]) == (0, None), value
    links = links_of(value)
    held = ["signature of the record", "bytes", "signature of the statement", "layout", "image", "configuration"]
    held += ["labels", *(["lockfile"] if name == "app" else [])]
    assert {link: links[link] for link in held} == dict.fromkeys(held, "holds")
    # Somebody copied it home, without what lies beside it.
    alone = Path(shutil.copy((site.cluster / name / "current").resolve(), tmp_path / "home.sif"))
    code, value = verified(site, alone)
    assert (code, value["proven"]) == (0, True), value
    links = links_of(value)
    assert [links[f"bill of materials ({one})"] for one in ("CycloneDX", "SPDX")] == ["holds", "holds"]
    if name == "app":
        # The job that signs laid its manifest, with the signature of whoever pushed it, into the file.
        assert [links[one] for one in ("packages", "manifest and signature", "spec file")] == ["holds"] * 3
    code, value = verified(site, alone, "--online")
    assert (code, links_of(value)["registry"]) == (0, "holds"), value
    file = open_sif(alone)
    carried = ("spacktainers.image", "spacktainers.packages", "spacktainers.cdx.json", "spacktainers.spdx.json")
    places = [file.header.system, *(one for one in map(file.header.named, carried) if one)]
    assert len(places) == (5 if name == "app" else 4)
    for place in places:
        assert place
        changed = Path(shutil.copy(alone, tmp_path / "changed.sif"))
        with changed.open("r+b") as stream:
            stream.seek(place.offset + place.size // 2)
            byte = stream.read(1)
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ 1]))
        code, value = verified(site, changed)
        assert code == 10
        assert value["first_broken"].startswith(f"object {place.identifier},")


def test_the_image_in_the_registry_is_proven_to_the_last_byte_of_its_layers(site: Site, done: dict[str, Done]) -> None:
    code, value = verified(site, f"{site.registry.host}/{GROUP}containers/app:1.2.3")
    assert (code, value["first_broken"]) == (0, None), value
    links = links_of(value)
    held = ["statement", "manifest", "configuration", "labels", "layers", "lockfile", "in-toto statement"]
    held += ["signature of the in-toto statement", "bill of materials (CycloneDX)", "bill of materials (SPDX)"]
    assert {links[name] for name in held} == {"holds"}


@pytest.mark.parametrize("name", ["app", "wrapped"])
def test_every_container_has_a_bill_of_materials_in_it_and_beside_it(
    site: Site, done: dict[str, Done], name: str
) -> None:
    """In the SIF file, beside it in the bucket, beside the image in the registry; all say the same packages."""
    record = site.objects()[f"containers/{name}__{'1.2.3' if name == 'app' else '2.0'}-amd64.sif"]
    assert record is not None
    file = open_sif(site.cluster / name / "current")
    inside = {suffix: file.named(f"spacktainers{suffix}") for suffix in (".cdx.json", ".spdx.json")}
    client = s3_client(site.s3)
    for suffix, document in inside.items():
        key = f"containers/sbom/{record.file_name}{suffix}"
        assert client.get_object(Bucket=site.bucket, Key=key)["Body"].read() == document
    reference = parse_reference(f"{site.registry.host}/{GROUP}containers/{name}@{record.image_digest}")
    registries = RegistryClient(site.registry.credentials)
    found = {str(one["artifactType"]): one for one in referrers(registries, reference)}
    statement = "application/vnd.dsse.envelope.v1+json"
    assert set(found) == {"application/vnd.cyclonedx+json", "application/spdx+json", statement}
    attached = read_referrer(registries, reference, found["application/vnd.cyclonedx+json"])
    assert attached
    assert inside[".cdx.json"]
    listed = read_document(inside[".cdx.json"], "sif")
    assert read_document(attached, "image") == listed
    packages = {(one.kind, one.name) for one in listed}
    assert ("deb", "libc6") in packages
    assert (("spack", "app") in packages) == (name == "app")


def test_what_an_environment_asks_of_its_image_is_in_it(site: Site, done: dict[str, Done]) -> None:
    """Labels, packages of the distribution, and all views; its recipes were there while it was installed."""
    image = site.published("containers/app:1.2.3-amd64")
    assert image is not None
    assert image.labels["org.example.asked"] == "for 'this'"
    sif = site.cluster / "app" / "current"
    assert "noninteractive: install --yes --no-install-recommends libgomp1 libnuma1\n" in site.apptainer(
        "exec", sif, "cat", "/etc/asked-of-apt"
    )
    shipped = site.apptainer("exec", sif, "cat", "/opt/spack-environment/spack.yaml")
    assert "specs:" in shipped
    assert COMMUNITY not in shipped
    for view in ("/opt/view", "/opt/more-tools"):
        assert site.apptainer("exec", sif, f"{view}/bin/{BINARY}").startswith(("app", BINARY))


def test_what_spack_sets_wins_over_the_env_of_the_runtime_image(site: Site, done: dict[str, Done]) -> None:
    image = site.published("containers/app:1.2.3-amd64")
    assert image is not None
    assert image.variables["APP_HOME"] == "/of/the/runtime/image"
    sif = site.cluster / "app" / "current"
    show = "echo $APP_HOME $OTHER"
    for shell in ("sh", "bash"):
        assert site.apptainer("exec", sif, shell, "-c", show) == "/opt/software/app kept\n"
        chosen = site.apptainer("exec", "--env", "APP_HOME=/of/the/runtime/image", sif, shell, "-c", show)
        assert chosen == "/of/the/runtime/image kept\n"


def test_what_spack_unsets_does_not_come_from_the_host(site: Site, done: dict[str, Done]) -> None:
    sif = site.cluster / "app" / "current"
    for shell in ("sh", "bash"):
        shown = site.apptainer("exec", sif, shell, "-c", "echo $KEPT:$GONE", GONE="the host's", KEPT="the host's")
        assert shown == "the host's:\n"


def test_an_imported_image_has_what_its_definition_adds(site: Site, done: dict[str, Done]) -> None:
    sif = site.cluster / "wrapped" / "wrapped__2.0-amd64.sif"
    assert site.apptainer("run", sif, "x y").strip() == "wrapped: x y"
    labels = json.loads(site.apptainer("inspect", "--json", "--labels", sif))["data"]["attributes"]["labels"]
    assert labels["from-the-definition"] == "yes"
    assert len(labels["org.example.container_checksum"]) == 64


def test_foreign_code_sees_no_secret(site: Site, done: dict[str, Done]) -> None:
    """What an upstream image, a definition and a test see in each of the jobs stands in its log."""
    spied = {name: one.log.count("spying as") for name, one in done.items()}
    # In the epilogue and as a smoke test; as a smoke test; as %post, %test, and when either of them starts.
    assert spied["build app container for amd64"] >= 2
    assert spied["create app sif file for amd64"] >= 1
    assert spied["create wrapped sif file for amd64"] >= 3
    assert spied["build wrapped container for amd64"] == 0
    logs = "".join(one.log for one in done.values())
    assert "smoke test" in logs
    assert [secret for secret in site.secrets if secret in logs] == []


def test_no_secret_is_in_an_image_or_a_record(site: Site, done: dict[str, Done]) -> None:
    blobs = [path for path in (site.registry.certificate.parent / "data").rglob("data") if path.is_file()]  # type: ignore[union-attr]
    contents = [path.read_bytes() for path in blobs]
    contents = [gzip.decompress(one) if one.startswith(b"\x1f\x8b") else one for one in contents]
    assert any(b"opt/greeting" in content for content in contents)
    records = repr(site.objects())
    for secret in site.secrets:
        assert secret not in records
        assert not any(secret.encode() in content for content in contents)


@pytest.mark.parametrize("name", ["app", "wrapped"])
def test_no_secret_is_in_a_sif_file(site: Site, done: dict[str, Done], name: str) -> None:
    sif = site.cluster / name / "current"
    words = "|".join(secret.replace("+", ".") for secret in site.secrets)
    search = f"grep -rlsE '{words}' / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev; echo searched"
    assert site.apptainer("exec", "--containall", sif, "/bin/sh", "-c", search).strip() == "searched"
    metadata = site.apptainer("inspect", "--all", sif)
    assert not [secret for secret in site.secrets if secret in metadata]


def test_no_process_list_shows_a_secret(site: Site, done: dict[str, Done], listed: set[str]) -> None:
    assert any("buildah" in line for line in listed)
    assert [line for line in listed if any(secret in line for secret in site.secrets)] == []


def test_an_image_that_is_wrapped_keeps_its_layers_and_loses_its_triggers(site: Site, done: dict[str, Done]) -> None:
    ours = read_manifest(site.registry, f"{GROUP}containers/wrapped", "2.0-amd64")
    theirs = read_manifest(site.registry, "public/upstream", "2.0")
    assert ours["layers"] == theirs["layers"]
    config = json.loads(read_blob(site.registry, f"{GROUP}containers/wrapped", ours["config"]["digest"]))["config"]
    assert config["Entrypoint"] == ["/bin/sh", "/spy.sh"]
    assert "OnBuild" not in config


def test_the_jobs_leave_no_login_and_no_folder(site: Site, done: dict[str, Done]) -> None:
    home = Path(site.environment["HOME"])
    assert not list(home.rglob("auth.json"))
    assert not [path for path in home.glob("tmp.*") if not (path / "bin" / "jc").exists()]


def test_the_docker_hub_job_copies_all_architectures_without_a_change(site: Site, done: dict[str, Done]) -> None:
    """There is no Docker Hub here; another repository of the registry stands for it."""
    index = read_manifest(site.registry, f"{GROUP}containers/app", "1.2.3")
    digest = hashlib.sha256(json.dumps(index, separators=(",", ":")).encode()).hexdigest()
    image = f"{site.environment['CI_REGISTRY_IMAGE']}/app@sha256:{digest}"
    hub = DockerHub(namespace="example", user_variable="CI_REGISTRY_USER", password_variable="CI_REGISTRY_PASSWORD")
    script = render("publish_docker_hub.sh.j2", registry=SiteRegistry(), dockerhub=hub)
    target = f"{site.registry.host}/{GROUP}example/app:1.2.3"
    result = run_script([script], site.root, {**site.environment, "IMAGE": image, "TARGET": target})
    assert result.returncode == 0, result.stdout
    assert site.environment["CI_REGISTRY_PASSWORD"] not in result.stdout
    here, there = site.published("containers/app:1.2.3"), site.published("example/app:1.2.3")
    assert here == there
    assert not list(Path(site.environment["TMPDIR"]).glob("tmp.*"))


def test_the_build_of_the_builder_image_gets_the_key_and_labels_the_compilers(site: Site) -> None:
    folder = site.root / "builder"
    (folder / "Dockerfile").write_text(
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
        "RUN --mount=type=secret,id=public_key cp /run/secrets/public_key /opt/trusted\n"
        "RUN echo gcc@12.2.0,llvm@17.0.6 > /opt/spack-compilers.txt\n"
    )
    key = site.root / "key"
    key.write_text("the public key")
    text = (site.root / "spacktainers.yaml").read_text()
    base = f"{site.environment['CI_REGISTRY_IMAGE']}/runtime:latest"
    found = read_site(parse(text.replace("images:\n", f"images:\n  builder: {{base: '{base}'}}\n").encode(), "site"))
    image = base_image(
        "builder",
        "amd64",
        found,
        ImageSources({"builder": "f"}, "c" * 40, "d" * 40),
        Namespace(site.environment["CI_REGISTRY_IMAGE"], True),
    )
    decision = Decision(Subject.BASE_IMAGE, "builder", "amd64", Action.BUILD, "")
    job = base_image_job(
        DecidedImage(image, decision, Judgement(Action.BUILD, "")), found.architectures["amd64"], found
    )
    variables = {**site.environment, **job.variables, "SPACK_DEPLOYMENT_KEY_PUBLIC": str(key)}
    result = run_script(job.script, site.root, variables)
    assert result.returncode == 0, result.stdout
    built = site.published(f"containers/builder:{image.tag}")
    assert built is not None
    assert built.labels["org.spack.compilers"] == "gcc@12.2.0,llvm@17.0.6"
    libc = built.labels[image.libc_label]
    assert re.fullmatch(r"(glibc|musl)@[0-9]+\.[0-9.]+", libc)
    handed_on = dict(line.split("=") for line in (site.root / "builder_amd64.env").read_text().splitlines())
    assert handed_on == {"BUILDER_AMD64_DIGEST": built.digest, "BUILDER_AMD64_LIBC": libc}
    assert image.labels.items() <= built.labels.items()


def test_then_there_is_nothing_to_do(site: Site, done: dict[str, Done]) -> None:
    pipeline = site.generate()
    assert [name for name in pipeline if name not in ("workflow", "stages")] == [NOTHING_TO_DO]
    assert site.run(pipeline)[NOTHING_TO_DO].succeeded


def _with_test(site: Site, command: str) -> dict[str, Done]:
    """Run the pipeline of the container with another smoke test, on a branch; no other container."""
    definition = site.root / "container_definitions" / "amd64" / "app" / "spack.yaml"
    text = definition.read_text()
    definition.write_text(f"{text}    - {command}\n")
    environment = {**site.environment, "CI_COMMIT_REF_NAME": "Fix/it", "CI_COMMIT_REF_SLUG": "fix-it"}
    branch = replace(site, environment=environment)
    try:
        pipeline = branch.generate()
        kept = {name: job for name, job in pipeline.items() if "wrapped" not in name}
        return branch.run(kept)
    finally:
        definition.write_text(text)


def test_another_build_of_the_same_lock_gives_the_same_image(site: Site, done: dict[str, Done], tmp_path: Path) -> None:
    """In another folder and storage, with other modes, at another time, in another pipeline of another branch."""
    run = {
        "CI_COMMIT_SHA": "e" * 40,
        "CI_COMMIT_REF_NAME": "again",
        "CI_COMMIT_REF_SLUG": "again",
        "CI_JOB_ID": "4712",
        "CI_PIPELINE_ID": "4712",
        "CI_PIPELINE_URL": "https://gitlab.example.org/group/containers/-/pipelines/4712",
    }
    elsewhere = machine(tmp_path / "machine", site.registry)
    names = ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "CONTAINERS_STORAGE_CONF")
    here = shutil.copytree(site.root, tmp_path / "checked out elsewhere", symlinks=True)
    for path in here.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
    environment = {**site.environment, **{name: elsewhere[name] for name in names}, **run}
    branch = replace(site, root=here, environment=environment)
    pipeline = branch.generate("--force", "app")
    kept = {name: job for name, job in pipeline.items() if name.startswith((".", "build app"))}
    built = branch.run(kept)["build app container for amd64"]
    assert built.succeeded, built.log
    first, second = (
        content(site.registry, f"{GROUP}containers/{name}", f"{tag}-amd64")
        for name, tag in (("app", "1.2.3"), ("branches__app", "1.2.3__again"))
    )
    assert second == first


@pytest.mark.parametrize("name", ["app", "wrapped"])
def test_another_conversion_of_the_same_image_gives_the_same_file(
    site: Site, done: dict[str, Done], tmp_path: Path, name: str
) -> None:
    """By another job, later, with another umask, and with nothing in a cache."""
    image = site.published(f"containers/{name}:{'1.2.3' if name == 'app' else '2.0'}-amd64")
    assert image is not None
    job = expand(site.generate("--force", name))[f"create {name} sif file for amd64"]
    sums = []
    for number, umask in ((1, 0o022), (2, 0o077)):
        elsewhere = machine(site.root.parent / f"{name}-again-{number}", site.registry)
        made = Path(elsewhere["HOME"])
        jc = made / "jc"
        jc.write_text(
            f'#!/bin/sh\ncase $1 in stage-sif) sha256sum "$2" > {made}/sum ;; '
            f'*) exec {sys.executable} -m job_creator "$@" ;; esac\n'
        )
        jc.chmod(0o755)
        here = {name: elsewhere[name] for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
        # Expanded by GitLab.
        login = ("DOCKER_USERNAME", "CI_REGISTRY_USER"), ("DOCKER_PASSWORD", "CI_REGISTRY_PASSWORD")
        logins = {f"APPTAINER_{variable}": site.environment[value] for variable, value in login}
        run = {"IMAGE_DIGEST": image.digest, "CI_JOB_ID": f"47{number}", "PATH": f"{made}:{site.environment['PATH']}"}
        variables = {**site.environment, **job["variables"], **logins, **here, **run, "FOLDER": _folder(site, name)}
        result = run_script([f"umask {umask:o}", *job["script"]], site.root, variables)
        assert result.returncode == 0, result.stdout
        sums.append((made / "sum").read_text().split()[0])
    assert sums[0] == sums[1]


PLAIN = """\
spack:
  specs: [app@1.2]
spacktainer:
  files: [files/app/greeting:/opt/greeting]
  test:
    - test "$(cat /opt/greeting)" = hello
"""
BUILD_PLAIN = "build plain container for amd64"


def _planned_here(site: Site, root: Path) -> Site:
    """A repository in git with another container, whose environment is as the commit says."""
    values = {
        "host": site.registry.host,
        "driver": "vfs",
        "bucket": site.bucket,
        "s3": site.s3,
        "cluster": site.cluster,
    }
    files = {"container_definitions/amd64/plain.yaml": PLAIN, "spacktainer/files/app/greeting": "hello"}
    write_repository(root, files, SITE.format(**values))
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "plain"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    here = replace(site, root=root, environment={**site.environment, "CI_COMMIT_SHA": commit})
    command = [sys.executable, "-m", "job_creator", "create-jobs", "--offline"]
    done = subprocess.run(command, cwd=root, env=here.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    environment = root / "jobs_scratch_dir.amd64" / "plain" / "concrete_environment"
    environment.mkdir(parents=True)
    shutil.copy(root / "merged_spack_plain_amd64.yaml", environment / "spack.yaml")
    (environment / "spack.lock").write_bytes(LOCK)
    return here


def _left_by_jobs(here: Site, gitlab: FakeGitLab) -> FakeJob:
    """The pipelines of that commit in a GitLab, with what their jobs left; the job that builds the container."""
    parent = gitlab.project("group/containers").pipeline()
    base = parent.child(BASE_BRIDGE)
    child = parent.child("build spacktainers for amd64")
    for pipeline in (parent, base, child):
        pipeline.commit = here.environment["CI_COMMIT_SHA"]
    for name, folder in (
        (containers_job("amd64"), "spacktainer.artifacts.amd64"),
        (environment_job("plain", "amd64"), "jobs_scratch_dir.amd64/plain"),
    ):
        paths = [path for path in (here.root / folder).rglob("*") if path.is_file()]
        base.job(name, {path.relative_to(here.root).as_posix(): path.read_bytes() for path in paths})
    return child.job(BUILD_PLAIN, status="failed")


def test_a_container_is_built_again_from_its_job_and_from_its_image(site: Site, tmp_path: Path) -> None:
    here = _planned_here(site, tmp_path / "checkout")
    pipeline = here.generate()
    built = here.run({name: job for name, job in pipeline.items() if name.startswith((".", BUILD_PLAIN))})
    assert built[BUILD_PLAIN].succeeded, built[BUILD_PLAIN].log
    image = f"{site.registry.host}/{GROUP}containers/plain:1.2.3-amd64"
    assert site.registry.tokens is not None
    login = f"{site.registry.tokens.user}:{site.registry.tokens.password}".encode()
    logins = tmp_path / "logins.json"
    logins.write_text(json.dumps({"auths": {site.registry.host: {"auth": base64.b64encode(login).decode()}}}))
    kept = ("PATH", "PYTHONPATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NO_PROXY", *machine_variables())
    elsewhere = machine(tmp_path / "machine", site.registry)
    environment = {name: {**site.environment, **elsewhere}[name] for name in kept} | {"REGISTRY_AUTH_FILE": str(logins)}
    with FakeGitLab() as gitlab:
        job = _left_by_jobs(here, gitlab)
        url = f"{gitlab.url}/group/containers/-/jobs/{job.id}"
        from_job = [url, "--out-dir", str(tmp_path / "job")]
        from_image = [image, "--commit", here.environment["CI_COMMIT_SHA"], "--out-dir", str(tmp_path / "image")]
        told = []
        for words in (from_job, from_image):
            command = [sys.executable, "-m", "job_creator", "-C", str(here.root), "reproduce", *words, "--json"]
            variables = {**environment, "GITLAB_API_TOKEN": gitlab.private_token}
            done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            told.append(json.loads(done.stdout))
    assert [one["unknown"] for one in told] == [[], []]
    assert told[0]["images"] == told[1]["images"]
    for folder in ("job", "image"):
        command = ["sh", str(tmp_path / folder / "reproduce.sh")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "built localhost/plain:reproduced: sha256:" in done.stdout
        if folder == "image":
            assert re.search("it is the same image|all files in it are the same", done.stdout), done.stdout


def machine_variables() -> tuple[str, ...]:
    """What a machine with a storage of its own sets."""
    return (
        *("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "STORAGE_DRIVER", "BUILDAH_ISOLATION"),
        *("CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF"),
    )


def _folder(site: Site, name: str) -> str:
    """Where the generated files of a container are, seen from the checkout."""
    return f"spacktainer.artifacts.amd64/{name}"


def test_what_fails_its_smoke_test_as_an_image_is_not_pushed(site: Site, done: dict[str, Done]) -> None:
    before = site.objects()
    failed = _with_test(site, "test -e /not-there")
    assert failed["build app container for amd64"].exit_code == 1
    assert "smoke test failed: test -e /not-there" in failed["build app container for amd64"].log
    assert all(one.exit_code is None for one in failed.values() if not one.name.startswith("build"))
    assert site.published("containers/branches__app:1.2.3__fix-it-amd64") is None
    assert site.objects() == before


def test_what_fails_its_smoke_test_as_a_sif_file_is_not_published(site: Site, done: dict[str, Done]) -> None:
    before = site.objects()
    failed = _with_test(site, 'test -z "${APPTAINER_NAME:-}"')
    assert failed["build app container for amd64"].succeeded
    assert failed["create app sif file for amd64"].exit_code == 1
    assert failed["tag app"].exit_code is None
    assert site.published("containers/branches__app:1.2.3__fix-it") is None
    assert site.objects() == before


def test_another_lockfile_than_the_one_that_was_planned_ends_the_build(site: Site, done: dict[str, Done]) -> None:
    branch = replace(site, environment={**site.environment, "CI_COMMIT_REF_NAME": "b", "CI_COMMIT_REF_SLUG": "b"})
    pipeline = branch.generate("--force", "app")
    lock = site.root / "jobs_scratch_dir.amd64" / "app" / "concrete_environment" / "spack.lock"
    lock.write_bytes(LOCK + b"\n")
    try:
        kept = {name: job for name, job in pipeline.items() if name.startswith((".", "build app"))}
        failed = branch.run(kept)["build app container for amd64"]
    finally:
        lock.write_bytes(LOCK)
    assert failed.exit_code == 1
    assert "spack.lock: FAILED" in failed.log
    assert site.published("containers/branches__app:1.2.3__b-amd64") is None
