"""Tags that point to images of several architectures, set in a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from tests.integration.registry_server import (
    GROUP,
    Registry,
    TokenService,
    delete_manifest,
    push_image,
    push_index,
    read_manifest,
    run_registry,
)


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService()) as running:
        yield running


def members(registry: Registry, repository: str, tag: str) -> dict[str, str]:
    content = read_manifest(registry, repository, tag)
    return {one["platform"]["architecture"]: one["digest"] for one in content["manifests"]}


@pytest.mark.parametrize("docker", [False, True])
def test_a_tag_points_to_the_images_of_all_architectures(registry: Registry, docker: bool) -> None:
    repository = f"{GROUP}both-{docker}".lower()
    pushed = {
        name: push_image(registry, repository, f"1-{name}", name, {"a": name}, docker=docker)
        for name in ("amd64", "arm64")
    }
    client = RegistryClient(registry.credentials)
    target = f"{registry.host}/{repository}:1"
    assert client.put_index(target, ["1-amd64", pushed["arm64"]]).members == pushed
    assert members(registry, repository, "1") == pushed
    queries = [Query(target, name) for name in pushed]
    found = client.look_up(queries)
    assert {query.architecture: one.digest for query, one in found.items() if one} == pushed
    assert {query.architecture: one.labels for query, one in found.items() if one} == {
        name: {"a": name} for name in pushed
    }


def test_a_tag_moves_in_one_step_and_setting_it_twice_changes_nothing(registry: Registry) -> None:
    repository = f"{GROUP}moving"
    old = push_image(registry, repository, "old", "amd64", {"v": "1"})
    new = push_image(registry, repository, "new", "amd64", {"v": "2"})
    client = RegistryClient(registry.credentials)
    for source, digest in (("old", old), ("new", new), ("new", new)):
        client.put_index(f"{registry.host}/{repository}:1", [source])
        assert members(registry, repository, "1") == {"amd64": digest}


def test_architectures_that_are_not_there_yet_are_left_out_on_demand(registry: Registry) -> None:
    repository = f"{GROUP}one"
    digest = push_image(registry, repository, "1-amd64", "amd64", None)
    client = RegistryClient(registry.credentials)
    target = f"{registry.host}/{repository}:1"
    with pytest.raises(NotThereError, match="the repository has no 1-arm64"):
        client.put_index(target, ["1-amd64", "1-arm64"])
    assert client.put_index(target, ["1-amd64", "1-arm64"], skip_missing=True).members == {"amd64": digest}
    with pytest.raises(NotThereError, match="no 2-amd64 and no 2-arm64"):
        client.put_index(target, ["2-amd64", "2-arm64"], skip_missing=True)
    assert members(registry, repository, "1") == {"amd64": digest}


def test_two_images_for_one_architecture_are_refused(registry: Registry) -> None:
    repository = f"{GROUP}twice"
    push_image(registry, repository, "a", "amd64", {"v": "1"})
    push_image(registry, repository, "b", "amd64", {"v": "2"})
    with pytest.raises(CouldNotAskError, match="a and b are both for amd64"):
        RegistryClient(registry.credentials).put_index(f"{registry.host}/{repository}:1", ["a", "b"])


def test_an_index_is_no_member_of_an_index(registry: Registry) -> None:
    repository = f"{GROUP}nested"
    digest = push_image(registry, repository, "1-amd64", "amd64", None)
    push_index(registry, repository, "index", {"amd64": digest})
    with pytest.raises((CouldNotAskError, NotThereError)):
        RegistryClient(registry.credentials).put_index(f"{registry.host}/{repository}:1", ["index"])


def test_who_may_only_read_sets_no_tag(registry: Registry) -> None:
    repository = "public/readable"
    push_image(registry, repository, "1-amd64", "amd64", None)
    with pytest.raises(CouldNotAskError, match=r"HTTP 40[13]"):
        RegistryClient(registry.credentials).put_index(f"{registry.host}/{repository}:1", ["1-amd64"])


def test_a_wrong_password_sets_no_tag_and_is_not_shown(registry: Registry) -> None:
    repository = f"{GROUP}closed"
    push_image(registry, repository, "1-amd64", "amd64", None)
    client = RegistryClient({registry.host: ("gitlab-ci-token", "wrong-secret")})
    with pytest.raises(CouldNotAskError) as caught:
        client.put_index(f"{registry.host}/{repository}:1", ["1-amd64"])
    assert "wrong-secret" not in str(caught.value)


def test_a_registry_that_is_gone_is_no_answer(registry: Registry) -> None:
    gone = replace(registry, host="127.0.0.1:1")
    with pytest.raises(CouldNotAskError, match="cannot connect"):
        RegistryClient().put_index(f"{gone.host}/{GROUP}x:1", ["1-amd64"])


def test_an_image_that_was_deleted_meanwhile_is_not_there(registry: Registry) -> None:
    repository = f"{GROUP}deleted"
    digest = push_image(registry, repository, "1-amd64", "amd64", None)
    delete_manifest(registry, repository, digest)
    with pytest.raises(NotThereError):
        RegistryClient(registry.credentials).put_index(f"{registry.host}/{repository}:1", [digest])
