"""Images copied from registry to registry: real ones, and upstream registries that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foundation.doors.http import Patience
from foundation.errors import CouldNotAskError, ExitCode, NotThereError
from foundation.registries.connections import RegistryConnections
from foundation.registries.copies import copy_image, take_image
from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from tests.commands import jc
from tests.integration.registry_server import (
    GROUP,
    OCI_MANIFEST,
    Answer,
    EndedError,
    EndingConnections,
    Registry,
    Request,
    TokenService,
    digest_of,
    push_image,
    push_index,
    read_blob,
    read_manifest,
    run_registry,
    serve,
)
from tests.samples import DEFAULT_BRANCH, SITE, write_repository

TRIGGERS = ["COPY . /checkout", "RUN cat /checkout/.git/config"]
CONFIG = {"Env": ["PATH=/bin"], "Entrypoint": ["/run"], "OnBuild": TRIGGERS}
UPSTREAM = "public/upstream"
LAYER = b"a layer"

in_both_formats = pytest.mark.parametrize("docker", [False, True], ids=["OCI", "Docker"])


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService()) as running:
        yield running


def copied(registry: Registry, source: str, name: str, labels: dict[str, str]) -> str:
    target = f"{registry.host}/{GROUP}{name}:1-amd64"
    return copy_image(RegistryConnections(registry.credentials), f"{registry.host}/{source}", target, labels)


@in_both_formats
def test_a_copy_has_the_same_layers_and_more_labels_and_no_triggers(registry: Registry, docker: bool) -> None:
    digest = push_image(registry, UPSTREAM, "1", "amd64", {"own": "1", "both": "old"}, docker=docker, config=CONFIG)
    name = f"copy-{docker}".lower()
    found = copied(registry, f"{UPSTREAM}@{digest}", name, {"both": "new=er", "added": "2"})
    before = read_manifest(registry, UPSTREAM, digest)
    after = read_manifest(registry, f"{GROUP}{name}", "1-amd64")
    assert after["layers"] == before["layers"]
    assert after["mediaType"] == before["mediaType"]
    assert found == digest_of(json.dumps(after, separators=(",", ":")).encode())
    written = [
        json.loads(read_blob(registry, repository, manifest["config"]["digest"]))
        for repository, manifest in ((UPSTREAM, before), (f"{GROUP}{name}", after))
    ]
    expected = {**written[0]["config"], "Labels": {"own": "1", "both": "new=er", "added": "2"}}
    del expected["OnBuild"]
    assert written[1] == {**written[0], "config": expected}


@in_both_formats
@pytest.mark.parametrize("name", ["onbuild", "ONBUILD", "onBuild"])
def test_triggers_that_only_go_takes_for_some_are_left_out_too(registry: Registry, docker: bool, name: str) -> None:
    config = {"Env": ["PATH=/bin"], name: TRIGGERS, "labels": {"both": "forged"}}
    digest = push_image(registry, UPSTREAM, f"go-{name}", "amd64", {"own": "1"}, docker=docker, config=config)
    copied(registry, f"{UPSTREAM}@{digest}", "go", {"both": "new"})
    manifest = read_manifest(registry, f"{GROUP}go", "1-amd64")
    written = read_blob(registry, f"{GROUP}go", manifest["config"]["digest"])
    assert json.loads(written)["config"] == {"Env": ["PATH=/bin"], "Labels": {"own": "1", "both": "new"}}
    assert b"/checkout" not in written


def test_of_two_names_that_are_one_for_go_only_the_right_one_is_copied(registry: Registry) -> None:
    """Otherwise this program would see another image than those who pull it."""
    layer, kind = digest_of(LAYER), "application/octet-stream"
    config = json.dumps({"os": "linux", "config": {}, "Config": {"OnBuild": TRIGGERS}, "OS": "plan9"}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": kind, "digest": digest_of(config), "size": len(config), "Digest": layer},
        "Config": {"mediaType": kind, "digest": layer, "size": len(LAYER)},
        "layers": [{"mediaType": kind, "digest": layer, "size": len(LAYER), "DIGEST": digest_of(config)}],
        "Layers": [],
    }
    answers = {
        "/v2/evil/manifests/1": Answer(body=json.dumps(manifest).encode()),
        f"/v2/evil/blobs/{digest_of(config)}": Answer(body=config),
        f"/v2/evil/blobs/{layer}": Answer(body=LAYER),
    }
    with serve(lambda request: answers.get(request.path, Answer(404))) as evil:
        target = f"{registry.host}/{GROUP}twice:1-amd64"
        copy_image(RegistryConnections(registry.credentials), f"{evil.host}/evil:1", target, {"a": "b"})
    found = read_manifest(registry, f"{GROUP}twice", "1-amd64")
    assert set(found) == {"schemaVersion", "mediaType", "config", "layers"}
    assert set(found["config"]) == {"mediaType", "digest", "size"}
    assert found["layers"] == [{"mediaType": kind, "digest": layer, "size": len(LAYER)}]
    written = json.loads(read_blob(registry, f"{GROUP}twice", found["config"]["digest"]))
    assert written == {"os": "linux", "config": {"Labels": {"a": "b"}}}


def test_copying_again_gives_the_same_digest_and_fetches_no_layer(registry: Registry) -> None:
    digest = push_image(registry, UPSTREAM, "2", "amd64", None)
    first = copied(registry, f"{UPSTREAM}@{digest}", "again", {"a": "b"})
    layer = read_manifest(registry, UPSTREAM, digest)["layers"][0]["digest"]
    watched = Watched(registry)
    target = f"{registry.host}/{GROUP}again:1-amd64"
    source = f"{registry.host}/{UPSTREAM}@{digest}"
    assert copy_image(watched, source, target, {"a": "b"}) == first
    assert f"HEAD {GROUP}again blobs/{layer}" in watched.asked
    assert f"GET {UPSTREAM} blobs/{layer}" not in watched.asked


def test_a_copy_may_end_before_any_request_and_be_run_again(registry: Registry) -> None:
    """The tag comes last, so that it points to all of the copy, or is as it was."""
    push_image(registry, UPSTREAM, "5", "amd64", {"own": "1"}, config=CONFIG)
    source = f"{registry.host}/{UPSTREAM}:5"

    digests = set()
    # Manifest, configuration; the layer asked for and mounted; the new configuration in two requests, the manifest.
    for left in range(7):
        target = f"{registry.host}/{GROUP}ends-{left}:1"
        with pytest.raises(EndedError):
            copy_image(EndingConnections(registry.credentials, left), source, target, {"a": "b"})
        connections = RegistryClient(registry.credentials)
        assert connections.look_up([Query(target, "amd64")]) == {Query(target, "amd64"): None}
        digests.add(copy_image(connections, source, target, {"a": "b"}))
    ending = EndingConnections(registry.credentials, 7)
    digests.add(copy_image(ending, source, f"{registry.host}/{GROUP}ends-not:1", {"a": "b"}))
    assert len(digests) == 1


class Watched(RegistryConnections):
    """Writes down what is asked."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry.credentials)
        self.asked: list[str] = []

    def ask(self, reference, what, headers, *, method="GET", content=None, also_of=""):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        self.asked.append(f"{method} {reference.repository} {what.partition('?')[0]}")
        return super().ask(reference, what, headers, method=method, content=content, also_of=also_of)


@in_both_formats
def test_an_image_is_taken_as_it_is_and_no_layer_moves(registry: Registry, docker: bool) -> None:
    source = f"{GROUP}source-{docker}".lower()
    digest = push_image(registry, source, "1", "amd64", {"a": "1"}, docker=docker, config=CONFIG)
    target = f"{GROUP}taken-{docker}".lower()
    tags = [f"{registry.host}/{target}:1-amd64", f"{registry.host}/{target}:any__1"]
    watched = Watched(registry)
    assert take_image(watched, f"{registry.host}/{source}@{digest}", tags) == digest
    assert not [one for one in watched.asked if "blobs/sha256" in one and one.startswith("GET")]
    assert not [one for one in watched.asked if one.startswith("PUT") and "manifests" not in one]
    for tag in ("1-amd64", "any__1"):
        assert read_manifest(registry, target, tag) == read_manifest(registry, source, digest)
    again = Watched(registry)
    assert take_image(again, f"{registry.host}/{source}@{digest}", tags[:1]) == digest
    assert {one.split()[0] for one in again.asked} == {"GET", "HEAD", "PUT"}


def test_taking_an_image_may_end_before_any_request_and_be_run_again(registry: Registry) -> None:
    digest = push_image(registry, f"{GROUP}ends", "1", "amd64", None)
    source = f"{registry.host}/{GROUP}ends@{digest}"
    # The manifest, configuration and layer asked for and mounted; the manifest under both tags.
    for left in range(7):
        targets = [f"{registry.host}/{GROUP}taken-ends-{left}:{tag}" for tag in ("1", "2")]
        with pytest.raises(EndedError):
            take_image(EndingConnections(registry.credentials, left), source, targets)
        found = RegistryClient(registry.credentials).look_up([Query(target, "amd64") for target in targets])
        assert [one.digest if one else "" for one in found.values()] in (["", ""], [digest, ""])
        assert take_image(RegistryConnections(registry.credentials), source, targets) == digest


def test_in_its_own_repository_an_image_only_gets_a_tag(registry: Registry) -> None:
    digest = push_image(registry, f"{GROUP}own", "1", "amd64", None)
    watched = Watched(registry)
    take_image(watched, f"{registry.host}/{GROUP}own@{digest}", [f"{registry.host}/{GROUP}own:2"])
    assert watched.asked == [f"GET {GROUP}own manifests/{digest}", f"PUT {GROUP}own manifests/2"]


def test_what_cannot_be_mounted_is_copied(registry: Registry, tmp_path: Path) -> None:
    digest = push_image(registry, UPSTREAM, "taken", "amd64", None)
    with run_registry(tmp_path) as other:
        here, there = f"{registry.host}/{UPSTREAM}@{digest}", f"{other.host}/taken:1"
        assert take_image(RegistryConnections(registry.credentials), here, [there]) == digest
        assert read_manifest(other, "taken", "1") == read_manifest(registry, UPSTREAM, digest)


def test_only_a_digest_is_taken(registry: Registry) -> None:
    source, target = f"{registry.host}/{UPSTREAM}", f"{registry.host}/{GROUP}none:1"
    with pytest.raises(NotThereError, match="names no digest"):
        take_image(RegistryConnections(registry.credentials), f"{source}:1", [target])
    with pytest.raises(NotThereError, match="no such image"):
        take_image(RegistryConnections(registry.credentials), f"{source}@sha256:{'0' * 64}", [target])


def test_a_registry_that_answers_with_another_manifest_is_not_believed(registry: Registry) -> None:
    with serve(lambda request: Answer(body=b'{"layers": []}')) as evil:
        source = f"{evil.host}/evil@sha256:{'0' * 64}"
        with pytest.raises(CouldNotAskError, match=f"asked for sha256:{'0' * 64}, got"):
            take_image(RegistryConnections(registry.credentials), source, [f"{registry.host}/{GROUP}none:1"])


def test_what_is_not_there_or_is_no_single_image_is_said(registry: Registry) -> None:
    digest = push_image(registry, UPSTREAM, "3", "amd64", None)
    index = push_index(registry, UPSTREAM, "all", {"amd64": digest})
    with pytest.raises(CouldNotAskError, match=f"{index}: the answer is no image manifest"):
        copied(registry, f"{UPSTREAM}@{index}", "index", {})
    with pytest.raises(NotThereError, match="public/none:1: there is no such image"):
        copied(registry, "public/none:1", "none", {})


def hostile(layer: Answer, size: int = len(LAYER)) -> Callable[[Request], Answer | None]:
    """An upstream registry with one image, whose layer is answered like this."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/json", "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": "application/octet-stream", "digest": digest_of(LAYER), "size": size}],
    }
    answers = {
        "/v2/evil/manifests/1": Answer(body=json.dumps(manifest).encode()),
        f"/v2/evil/blobs/{digest_of(config)}": Answer(body=config),
        f"/v2/evil/blobs/{digest_of(LAYER)}": layer,
    }
    return lambda request: answers.get(request.path, Answer(404))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Answer(body=b"A layer"), "arrived with another content"),
        (Answer(body=LAYER + b"!"), "arrived with another content"),
        (Answer(body=LAYER[:-1]), "arrived with another content"),
        (Answer(404), "HTTP 404"),
        (Answer(403), "HTTP 403"),
    ],
    ids=["other bytes", "longer", "shorter", "gone", "forbidden"],
)
def test_a_layer_that_is_not_what_the_manifest_says_is_not_sent_on(
    registry: Registry, layer: Answer, said: str
) -> None:
    connections = RegistryConnections(registry.credentials, patience=Patience(attempts=1, silent_attempts=1))
    with serve(hostile(layer)) as upstream, pytest.raises(CouldNotAskError, match=said) as caught:
        copy_image(connections, f"{upstream.host}/evil:1", f"{registry.host}/{GROUP}evil:1", {})
    assert f"{upstream.host}/evil:1" in str(caught.value)
    assert not any("authorization" in request.headers for request in upstream.requests)
    with pytest.raises(NotThereError):
        copied(registry, f"{GROUP}evil:1", "other", {})


def test_a_layer_is_fetched_again_where_the_connection_breaks(registry: Registry) -> None:
    broken = Answer(body=LAYER[:3], headers={"Content-Length": str(len(LAYER)), "Connection": "close"})
    asked: list[str] = []

    def answer(request: Request) -> Answer | None:
        asked.append(request.path)
        is_first = asked.count(request.path) == 1 and request.path.endswith(digest_of(LAYER))
        return broken if is_first else hostile(Answer(body=LAYER))(request)

    with serve(answer) as upstream:
        target = f"{registry.host}/{GROUP}broken:1"
        copy_image(RegistryConnections(registry.credentials), f"{upstream.host}/evil:1", target, {})
    assert read_blob(registry, f"{GROUP}broken", digest_of(LAYER)) == LAYER


def test_a_hostile_layer_is_read_no_further_than_its_size(registry: Registry) -> None:
    with serve(hostile(Answer(body=LAYER + bytes(64 << 20)))) as upstream, pytest.raises(CouldNotAskError):
        copy_image(
            RegistryConnections(registry.credentials), f"{upstream.host}/evil:1", f"{registry.host}/{GROUP}evil:1", {}
        )


@pytest.mark.parametrize("place", ["{host}/v2/mine/blobs/uploads/1", "{host}/elsewhere", "/elsewhere", ""])
def test_an_upload_stays_at_the_repository_that_it_is_for(place: str) -> None:
    asked = hostile(Answer(body=LAYER))

    def refuse(request: Request) -> Answer | None:
        if request.method == "POST":
            return Answer(202, headers={"Location": place.format(host=f"http://{elsewhere.host}")})
        return asked(request) if "mine" not in request.path else Answer(404)

    with serve(lambda _: Answer(202)) as elsewhere, serve(refuse) as upstream:
        with pytest.raises(CouldNotAskError):
            copy_image(RegistryConnections(), f"{upstream.host}/evil:1", f"{upstream.host}/mine:1", {})
        assert not elsewhere.requests


def test_the_command_copies_and_leaves_the_digest(registry: Registry, tmp_path: Path) -> None:
    assert registry.tokens is not None
    digest = push_image(registry, UPSTREAM, "4", "amd64", {"own": "1"}, config=CONFIG)
    write_repository(tmp_path, {}, SITE.replace("registry.example.org/group", f"{registry.host}/{GROUP}"[:-1]))
    (tmp_path / "labels").write_text("org.example.x=1\norg.example.y=a=b\n")
    target = f"{registry.host}/{GROUP}containers/command:1"
    login = {"CI_REGISTRY_USER": registry.tokens.user, "CI_REGISTRY_PASSWORD": registry.tokens.password}
    source = f"{registry.host}/{UPSTREAM}@{digest}"
    said = ("--labels", str(tmp_path / "labels"), "--digest-file", str(tmp_path / "digest"), "--json")
    done = jc("-C", str(tmp_path), "copy-image", source, target, *said, environment={**DEFAULT_BRANCH, **login})
    assert done.exit_code == ExitCode.OK, done.output
    found = (tmp_path / "digest").read_text().strip()
    assert json.loads(done.stdout) == {"image": target, "digest": found}
    published = RegistryClient(registry.credentials).look_up([Query(target, "amd64")])[Query(target, "amd64")]
    assert published is not None
    assert published.digest == found
    assert published.labels == {"own": "1", "org.example.x": "1", "org.example.y": "a=b"}


@pytest.mark.parametrize("line", ["no label", "=value"])
def test_a_line_that_is_no_label_is_named(tmp_path: Path, line: str) -> None:
    write_repository(tmp_path, {}, SITE)
    labels = tmp_path / "labels"
    labels.write_text(f"a=b\n{line}\n")
    done = jc("-C", str(tmp_path), "copy-image", "localhost:1/x:1", "localhost:1/y:1", "--labels", str(labels))
    assert done.exit_code == ExitCode.INVALID_INPUT
    assert f"{labels}:2:1: {line!r} is no label" in done.stderr
