"""The site file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from foundation.errors import InvalidInputError
from foundation.yaml_io import dump, parse
from job_creator.pipelines.base import schema_text
from job_creator.schemas import schema
from job_creator.site.site import read_site
from tests.samples import FROZEN_SITE, REPOSITORY, SITE, site, two_zens
from tests.strategies import trees


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        site(text)
    return [str(fault) for fault in caught.value.faults]


def test_every_fault_is_found_at_once_with_its_place() -> None:
    text = """\
spack:
  reff: v1.1.0
  ref: v1.1.0
  packages: {repository: https://git.example.org/p.git, ref: v1}
architectures:
  amd64:
    runner_tag: [x]
    target: 1.5
    proxy: {http: "http://user:secret@proxy:1"}
    variables: {A: 1, a-b: x}
    jobs: {imgs: {}, packages: {timeout: 4x}}
    build_cache: {prefix: /a, access_key_id_variable: AKIAIOSFODNN7EXAMPLE}
  arm64: 7
"""
    assert faults(text) == [
        "spacktainers.yaml:2:3: unknown key 'reff'; did you mean 'ref'?",
        "spacktainers.yaml:7:5: unknown key 'runner_tag'; did you mean 'runner_tags'?",
        "spacktainers.yaml:7:5: 'runner_tags' is missing",
        "spacktainers.yaml:8:13: 'target' must be text; put the number in quotes",
        "spacktainers.yaml:9:19: 'http' holds a user or password; keep those in a masked CI variable on the runner",
        "spacktainers.yaml:10:20: 'A' must be text; put the number in quotes",
        "spacktainers.yaml:10:23: 'a-b' is no name of a CI variable; letters, digits and _ only, without $",
        "spacktainers.yaml:11:12: 'imgs' must be 'images', 'environments', 'packages', 'containers' or 'tools'",
        "spacktainers.yaml:11:42: '4x' is no duration; write for example '90 minutes' or '2h 30m'",
        "spacktainers.yaml:12:18: 'bucket' is missing",
        "spacktainers.yaml:12:27: '/a' is not a folder in the bucket, without '/' at either end, such as 'cache/amd64'",
        "spacktainers.yaml:12:55: 'access_key_id_variable' looks like a key itself; "
        "write the name of the CI variable that holds it, and revoke it",
        "spacktainers.yaml:13:10: 'arm64' must be a mapping",
    ]


@pytest.mark.parametrize("text", ["[]", "x", "false"])
def test_a_file_that_is_no_mapping_says_so(text: str) -> None:
    assert faults(text) == ["spacktainers.yaml:1:1: the file must be a mapping"]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "null"])
def test_an_empty_file_says_so(text: str) -> None:
    assert faults(text) == ["spacktainers.yaml:1:1: the file is empty; it needs spack: and architectures:"]


def changed(old: str, new: str) -> str:
    assert old in SITE
    return SITE.replace(old, new)


PUBLISH = """publish:
  dockerhub: {namespace: Our-Group}
  clusters: {Cluster_1: {directory: containers, runner_tags: [x]}}
"""


def test_no_message_shows_a_regular_expression() -> None:
    text = (
        changed(
            "build_cache: {bucket: cache-amd64",
            "jobs: {packages: {resources: {cpu: 4 cores, memory: 8 GB}}}\n    build_cache: {bucket: 's3://cache-amd64'",
        )
        + PUBLISH
    )
    messages = [fault.partition(": ")[2] for fault in faults(text)]
    assert messages == [
        "'4 cores' is not a number of cores such as '4' or '500m'",
        "'8 GB' is not an amount such as '8Gi' or '500M'",
        "'s3://cache-amd64' is not the name of a bucket alone: 3 to 63 lower case letters, digits, '.' and '-', "
        "such as 'spack-cache'",
        "'Our-Group' is not a name on Docker Hub: lower case letters and digits",
        "'Cluster_1' is not a name of lower case letters, digits and '-', such as 'cluster-1'",
        "'containers' is not an absolute path without spaces, such as /shared/containers",
    ]


def test_a_line_end_does_not_pass_at_the_end_of_a_form() -> None:
    assert "is not the name of a bucket" in faults(changed("bucket: cache-amd64", 'bucket: "spack-cache\\n"'))[0]


def test_a_typing_error_stands_before_what_seems_to_be_missing_for_it() -> None:
    text = changed("runner_tags: [graviton]", "variables: {}\n    runnertags: [graviton]")
    (typed, missing) = faults(text)
    assert typed.endswith("unknown key 'runnertags'; did you mean 'runner_tags'?")
    assert missing == typed.partition(": unknown")[0] + ": 'runner_tags' is missing"


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("spack:\n", "ref: v1.1.0\nspack:\n", "indent it below spack:"),
        ("spack:\n", "max_needs: 5\nspack:\n", "known here: "),
        ("spack:\n", "limits: {}\nspack:\n", "indent it below gitlab:"),
        ("spack:\n", "repository: https://example.org/spack.git\nspack:\n", "indent it below spack:"),
        ("spack:\n", "spack:\n  architectures: {}\n", "it is known further out; indent it less than spack:"),
        ("spack:\n", "gitlab: {max_needs: 5}\nspack:\n", "indent it below limits:"),
    ],
)
def test_a_key_at_the_wrong_depth_is_told_where_it_belongs(old: str, new: str, hint: str) -> None:
    assert hint in faults(changed(old, new))[0]


@pytest.mark.parametrize(
    ("ref", "hint"),
    [("1.1.0", "write 'v1.1.0'"), ("0.23.1", "write 'v0.23.1'"), ("releases/1.1", "write 'releases/v1.1'")],
)
def test_a_release_without_its_v_is_recognized(ref: str, hint: str) -> None:
    (message,) = faults(changed("ref: v1.1.0", f"ref: {ref}"))
    assert message.endswith(f"{ref!r} is a version, not a tag or branch of Spack; {hint}")


def test_a_ref_may_be_a_number_where_the_version_is_said() -> None:
    """Forks may call their tags as they like."""
    assert site(changed("ref: v1.1.0", 'ref: 1.1.0\n  version: "1.1"')).spack.ref == "1.1.0"


@pytest.mark.parametrize("scheme", ["https://", "http://", "docker://", "oci://", "HTTPS://", "oras://"])
@pytest.mark.parametrize(
    "text",
    [
        "registry: {image: %}",
        "images: {builder: {base: %}}",
        "images: {singularitah: {base: %}}",
        "images: {buildah: {image: %}}",
        "images: {skopeo: %}",
        "images: {job_creator: %}",
    ],
)
def test_an_image_is_no_url(scheme: str, text: str) -> None:
    written = text.replace("%", f"'{scheme}me:secret@registry.example.org/group'")
    (message,) = faults(changed("registry: {image: registry.example.org/group/containers}", written))
    assert message.endswith(f"the name of an image begins with its registry or group; leave out '{scheme}'")
    assert "secret" not in message


@pytest.mark.parametrize(
    "group",
    ["registry.example.org", "registry.example.org/", "registry.example.org:5050", "localhost", "docker.io", "HOST"],
)
def test_a_registry_alone_is_no_group(group: str) -> None:
    (message,) = faults(changed("registry.example.org/group/containers", f"'{group}'"))
    host = group.rstrip("/")
    assert message.endswith(f"'{host}' is a registry, and names no group in it; write for example '{host}/containers'")


@pytest.mark.parametrize("group", ["our-group", "registry.example.org/group/", "localhost:5000/a"])
def test_a_group_may_be_on_docker_hub_and_end_with_a_slash(group: str) -> None:
    assert site(changed("registry.example.org/group/containers", f"'{group}'")).registry.image == group.rstrip("/")


@pytest.mark.parametrize(
    ("spack", "message"),
    [
        ("{ref: develop}", "the Spack version cannot be told from the ref 'develop'; add 'version: \"1.1\"' beside it"),
        ("{ref: v0.20.1}", "Spack '0.20.1' is not supported; supported are 0.21, 0.22, 0.23, 1.0, 1.1, 1.2"),
        ("{ref: v1.1.0}", "Spack 1.1 has its recipes in a repository of its own; add 'packages:' with its ref"),
        (
            "{ref: v0.23.1, packages: {repository: https://example.org/p.git, ref: v1}}",
            "Spack 0.23 brings its own recipes; remove 'packages:'",
        ),
        ("{ref: v0.23.1, repository: 'https://me:secret@example.org/s.git'}", "'repository' holds a user or password"),
        ("{ref: v0.23.1, repository: 'https://example.org/s.git?sig=secret'}", "'repository' has something behind '?'"),
        ("{ref: v0.23.1, repository: 'ssh://me:secret@example.org/s.git'}", "'repository' holds a password"),
        ("{ref: v0.23.1, repository: 'ssh://git@example.org/s.git?key=secret'}", "'repository' holds a password"),
        ("{ref: --upload-pack=x}", "is no branch, tag or commit"),
    ],
)
def test_the_spack_source_must_make_sense(spack: str, message: str) -> None:
    start, end = SITE.index("spack:"), SITE.index(".settings")
    assert any(message in fault for fault in faults(SITE[:start] + f"spack: {spack}\n" + SITE[end:]))


@pytest.mark.parametrize(
    ("spack", "line"),
    [
        ("{ref: v0.21.3}", (0, 21)),
        ("{ref: releases/v0.23}", (0, 23)),
        ('{ref: my-fork, version: "0.22"}', (0, 22)),
        ('{ref: develop, version: "1.2", packages: {repository: https://example.org/p.git, ref: develop}}', (1, 2)),
    ],
)
def test_the_spack_line_follows_from_the_ref_or_is_given(spack: str, line: tuple[int, int]) -> None:
    start, end = SITE.index("spack:"), SITE.index(".settings")
    assert site(SITE[:start] + f"spack: {spack}\n" + SITE[end:]).spack.line == line


def test_concluded_licenses_are_expressions_of_what_spdx_lists() -> None:
    said = "{ior: GPL-2.0-only, yaksa: BSD-3-Clause OR LicenseRef-ANL, libmd: free, zlib: MIT OR, 'hdf5@1': MIT}"
    assert faults(f"{SITE}licenses: {said}\n") == [
        f"spacktainers.yaml:{SITE.count(chr(10)) + 1}:{column}: {fault}"
        for column, fault in (
            (said.index("free") + 11, f"'free' {NO_LICENSE}"),
            (said.index("MIT OR,") + 11, f"'MIT OR' {NO_LICENSE}"),
            (
                said.index("'hdf5") + 11,
                "'hdf5@1' is not the name of a package of Spack alone, such as 'osu-micro-benchmarks'",
            ),
        )
    ]


NO_LICENSE = (
    "is no license expression of names that SPDX lists, such as 'MIT OR Apache-2.0'; "
    "write LicenseRef-<name> for another license"
)


def test_a_cluster_of_an_unknown_architecture_is_a_fault() -> None:
    text = SITE + "publish: {clusters: {big: {directory: /shared, runner_tags: [x], architecture: ppc64le}}}\n"
    assert faults(text) == [
        f"spacktainers.yaml:{text.count(chr(10))}:80: cluster 'big' has the architecture 'ppc64le', "
        "which this site lacks; known here: amd64, arm64"
    ]


def test_the_variable_names_that_users_know_are_the_defaults() -> None:
    known = site(SITE + "publish: {dockerhub: {namespace: example}}\n")
    cache, containers = known.architectures["amd64"].build_cache, known.architectures["amd64"].containers
    hub = known.publish.dockerhub
    assert containers is not None
    assert hub is not None
    assert (cache.access_key_id_variable, cache.secret_access_key_variable) == (
        "AWS_CACHE_ACCESS_KEY_ID",
        "AWS_CACHE_SECRET_ACCESS_KEY",
    )
    assert containers.access_key_id_variable == "AWS_INFRASTRUCTURE_ACCESS_KEY_ID"
    assert containers.secret_access_key_variable == "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY"
    assert known.signing.private_key_variable == "SPACK_DEPLOYMENT_KEY_PRIVATE"
    assert known.signing.public_key_variable == "SPACK_DEPLOYMENT_KEY_PUBLIC"
    assert (hub.user_variable, hub.password_variable) == ("DOCKERHUB_USER", "DOCKERHUB_PASSWORD")
    assert known.gitlab.api_token_variable == "GITLAB_API_TOKEN"


def test_branches_never_share_the_cache_of_the_default_branch() -> None:
    """D25: one bucket served both, and a branch pruned it."""
    known = site()
    for architecture in known.architectures.values():
        assert architecture.build_cache.of_branches().url != architecture.build_cache.url
    assert known.architectures["amd64"].build_cache.of_branches().url == "s3://cache-amd64/branches"
    assert known.architectures["amd64"].build_cache.of_branches().endpoint == "https://s3.example.org"
    assert known.architectures["arm64"].build_cache.of_branches().url == "s3://cache-branches/arm64"


def test_the_proxy_is_set_in_both_spellings_and_only_where_the_site_has_one() -> None:
    known = site().architectures
    assert known["amd64"].job_variables("tools") == {
        "http_proxy": "http://proxy.example.org:3128",
        "HTTP_PROXY": "http://proxy.example.org:3128",
        "no_proxy": "localhost,.example.org",
        "NO_PROXY": "localhost,.example.org",
    }
    assert known["arm64"].job_variables("tools") == {}


def test_settings_of_a_kind_of_job_win_over_those_of_the_architecture() -> None:
    text = SITE.replace(
        "runner_tags: [graviton]",
        "runner_tags: [graviton]\n    variables: {A: '1', B: '1'}\n"
        "    jobs: {packages: {runner_tags: [huge], variables: {B: '2'}, resources: {cpu: '8', memory: 16Gi}}}",
    )
    architecture = site(text).architectures["arm64"]
    assert architecture.tags("packages") == ("huge",)
    assert architecture.tags("tools") == ("graviton",)
    assert architecture.job_variables("packages") == {
        "KUBERNETES_CPU_REQUEST": "8",
        "KUBERNETES_MEMORY_REQUEST": "16Gi",
        "KUBERNETES_MEMORY_LIMIT": "16Gi",
        "A": "1",
        "B": "2",
    }


def test_values_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(site().spack, "ref", "other")  # noqa: B010 - mypy knows that this is wrong


@given(trees)
def test_any_yaml_tree_gives_a_site_or_faults_with_places(value: object) -> None:
    document = parse(dump(value).encode(), "spacktainers.yaml") if _readable(value) else None
    if document is None:
        return
    try:
        read_site(document)
    except InvalidInputError as error:
        assert all(fault.line >= 1 for fault in error.faults)


@given(st.data())
def test_any_value_anywhere_in_a_site_file_gives_a_site_or_faults_with_places(data: st.DataObject) -> None:
    value = parse(SITE.encode(), "s").value
    places = list(_places(value))
    container, key = data.draw(st.sampled_from(places))
    container[key] = data.draw(trees)
    if not _readable(value):
        return
    try:
        read_site(parse(dump(value).encode(), "spacktainers.yaml"))
    except InvalidInputError as error:
        assert all(fault.line >= 1 for fault in error.faults)


def _readable(value: object) -> bool:
    try:
        parse(dump(value).encode(), "x")
    except InvalidInputError:
        return False
    return True


def _places(value: object) -> list[tuple[dict[str, object], str]]:
    if not isinstance(value, dict):
        return []
    return [place for key, inner in value.items() for place in ((value, key), *_places(inner))]


@pytest.mark.parametrize("which", ["site", "definition"])
def test_the_committed_schemas_are_what_jc_schema_prints(which: str) -> None:
    committed = REPOSITORY / "job_creator" / "schemas" / f"{which}.schema.json"
    assert committed.read_text() == schema_text(schema(which)), "run 'make schemas'"


def test_the_schemas_accept_whole_files_and_refuse_misspelt_keys() -> None:
    whole = parse((FROZEN_SITE / "spacktainers.yaml").read_bytes(), "s").value
    validator = Draft202012Validator(schema("site"))
    assert list(validator.iter_errors(whole)) == []
    assert list(validator.iter_errors({**whole, "registri": {}}))
    definitions = Draft202012Validator(schema("definition"))
    for path in (FROZEN_SITE / "container_definitions").rglob("*.yaml"):
        assert list(definitions.iter_errors(parse(path.read_bytes(), "d").value)) == []
    assert list(definitions.iter_errors({"spack": {"specs:": ["x"], "packages+": {}, "specs": ["x"]}})) == []
    assert list(definitions.iter_errors({"spack": {"specs": []}}))


def test_editors_find_the_schemas() -> None:
    settings = json.loads((REPOSITORY / ".vscode" / "settings.json").read_text())
    for name in settings["yaml.schemas"]:
        assert (REPOSITORY / Path(name)).is_file()


def test_names_of_architectures_are_the_sites_own() -> None:
    found = site(two_zens())
    assert (found.platform("zen3"), found.platform("zen4")) == ("amd64", "amd64")
    assert site().platform("arm64") == "arm64"
    # The order of the site file decides, not that of the question.
    assert found.in_one_index(["zen3", "zen4"]) == ("zen4",)
    assert found.in_one_index(["zen3"]) == ("zen3",)
    assert site().in_one_index(["arm64", "amd64"]) == ("amd64", "arm64")


@pytest.mark.parametrize(
    ("name", "oci", "fault"),
    [
        ("zen3", "", "'zen3' is no architecture of OCI images, and 'oci' does not say which one it is; "),
        ("aarch64", "", "'aarch64' is no architecture of OCI images, and 'oci' does not say which one it is; "),
        ("zen3", "x86_64", "'x86_64' is no architecture of OCI images; did you mean 'amd64'?"),
        ("zen3", "amd46", "'amd46' is no architecture of OCI images; did you mean 'amd64'?"),
        ("Zen-3", "amd64", "'Zen-3' is not a name of lower case letters, digits and '_', such as 'amd64' or 'zen3'"),
    ],
)
def test_what_is_no_architecture_is_a_fault(name: str, oci: str, fault: str) -> None:
    text = SITE.replace("  arm64:\n", f"  {name}:\n" + (f"    oci: {oci}\n" if oci else ""), 1)
    line = text.splitlines().index(f"  {name}:") + 1
    found = [one for one in faults(text) if fault in one]
    assert len(found) == 1
    assert found[0].startswith(f"spacktainers.yaml:{line + bool(oci and name == 'zen3')}:")
    assert "oci: arm64" in found[0] or name != "aarch64"
