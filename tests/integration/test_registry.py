"""The registry client, asked against a real registry and against servers that misbehave."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from foundation.doors.http import Patience
from foundation.errors import CouldNotAskError
from foundation.registries.images import RegistryClient
from foundation.registries.published import Published, Query
from foundation.registries.repository import OciRepository
from job_creator.images.decisions import Action, compare_labels
from tests.integration.registry_server import (
    GROUP,
    OCI_INDEX,
    OCI_MANIFEST,
    PUBLIC,
    Answer,
    LoopbackServer,
    Registry,
    Request,
    TokenService,
    delete_manifest,
    digest_of,
    error_answer,
    push_image,
    push_index,
    run_registry,
    serve,
)

LABELS = {"org.spacktainers.files": "new", "org.spacktainers.recipe_version": "1"}
STALE = {**LABELS, "org.spacktainers.files": "old"}
SECRET = TokenService().password
IMAGE = "group/image"

in_both_formats = pytest.mark.parametrize("docker", [False, True], ids=["OCI", "Docker"])


@pytest.fixture(autouse=True)
def _directly_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a proxy nor the netrc file of whoever runs the tests takes part."""
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("guarded"), TokenService()) as running:
        yield running


def ask(
    host: str,
    image: str = f"{IMAGE}:1",
    architecture: str = "amd64",
    credentials: Mapping[str, tuple[str, str]] | None = None,
) -> Published | None:
    """What one question is answered with."""
    query = Query(f"{host}/{image}", architecture)
    return RegistryClient(credentials).look_up([query])[query]


def refusal(host: str, image: str = f"{IMAGE}:1", credentials: Mapping[str, tuple[str, str]] | None = None) -> str:
    """What is said when a question gets no answer; the reference is always part of it."""
    with pytest.raises(CouldNotAskError) as caught:
        ask(host, image, credentials=credentials)
    assert f"{host}/{image}: " in str(caught.value)
    return str(caught.value)


# A real registry


@in_both_formats
def test_an_image_is_found_with_its_digest_labels_and_architecture(registry: Registry, docker: bool) -> None:
    name = f"single/{'docker' if docker else 'oci'}"
    digest = push_image(registry, name, "1", "arm64", LABELS, docker=docker)
    assert ask(registry.host, f"{name}:1", "arm64") == Published(digest, LABELS, "arm64")


def test_an_image_without_labels_has_none(registry: Registry) -> None:
    digest = push_image(registry, "single/bare", "1", "amd64", None)
    assert ask(registry.host, "single/bare:1") == Published(digest, {}, "amd64")


def test_an_image_for_another_architecture_than_asked_for_says_so(registry: Registry) -> None:
    push_image(registry, "single/other", "1", "arm64", LABELS)
    published = ask(registry.host, "single/other:1", "amd64")
    assert published is not None
    assert published.architecture == "arm64"


@in_both_formats
def test_a_stale_image_is_seen_although_that_of_the_other_architecture_is_fresh(
    registry: Registry, docker: bool
) -> None:
    """Labels of a multi-architecture tag were once read from whichever image came first."""
    name = f"several/{'docker' if docker else 'oci'}"
    labels = {"arm64": LABELS, "amd64": STALE}
    members = {
        architecture: push_image(registry, name, architecture, architecture, own, docker=docker)
        for architecture, own in labels.items()
    }
    push_index(registry, name, "latest", members, docker=docker)
    queries = {architecture: Query(f"{registry.host}/{name}:latest", architecture) for architecture in labels}
    answers = RegistryClient().look_up(queries.values())
    for architecture, query in queries.items():
        assert answers[query] == Published(members[architecture], labels[architecture], architecture)
    actions = {
        architecture: compare_labels(LABELS, labels_of(answers[query]))[0] for architecture, query in queries.items()
    }
    assert actions == {"arm64": Action.REUSE, "amd64": Action.BUILD}


def labels_of(published: Published | None) -> Mapping[str, str] | None:
    return published.labels if published else None


def test_an_image_is_found_by_the_digest_of_its_index(registry: Registry) -> None:
    member = push_image(registry, "digests/image", "1", "amd64", LABELS)
    index = push_index(registry, "digests/image", "latest", {"amd64": member})
    for digest in (index, member):
        assert ask(registry.host, f"digests/image@{digest}") == Published(member, LABELS, "amd64")


def test_what_is_not_there_is_none(registry: Registry) -> None:
    member = push_image(registry, "there/image", "1", "amd64", LABELS)
    push_index(registry, "there/image", "index", {"amd64": member})
    absent = [
        Query(f"{registry.host}/there/image:gone", "amd64"),
        Query(f"{registry.host}/there/nothing:1", "amd64"),
        Query(f"{registry.host}/there/image:index", "arm64"),
        Query(f"{registry.host}/there/image@{digest_of(b'nothing')}", "amd64"),
    ]
    assert RegistryClient().look_up(absent) == dict.fromkeys(absent)


def test_an_index_that_names_a_lost_manifest_is_no_answer(registry: Registry) -> None:
    member = push_image(registry, "lost/image", "1", "amd64", LABELS)
    push_index(registry, "lost/image", "index", {"amd64": member})
    delete_manifest(registry, "lost/image", member)
    assert member in refusal(registry.host, "lost/image:index")


def test_one_question_without_an_answer_spoils_the_others_and_is_named_alone(registry: Registry) -> None:
    push_image(registry, "alone/image", "1", "amd64", LABELS)
    with serve(lambda _: error_answer(403, "DENIED", "not yours")) as server:
        good, bad = Query(f"{registry.host}/alone/image:1", "amd64"), Query(f"{server.host}/alone/image:1", "amd64")
        with pytest.raises(CouldNotAskError) as caught:
            RegistryClient().look_up([good, bad])
    assert bad.reference in str(caught.value)
    assert good.reference not in str(caught.value)


def test_nothing_is_asked_without_questions() -> None:
    assert RegistryClient().look_up([]) == {}


# Authorization by a real registry


def test_the_right_credentials_open_a_group(guarded: Registry) -> None:
    name = f"{GROUP}right"
    digest = push_image(guarded, name, "1", "amd64", LABELS)
    found = ask(guarded.host, f"{name}:1", credentials=guarded.credentials)
    assert found == Published(digest, LABELS, "amd64")
    assert ask(guarded.host, f"{name}:gone", credentials=guarded.credentials) is None
    assert ask(guarded.host, f"{GROUP}nothing:1", credentials=guarded.credentials) is None


def test_wrong_credentials_are_no_answer_whether_the_image_is_there_or_not(guarded: Registry) -> None:
    name = f"{GROUP}wrong"
    push_image(guarded, name, "1", "amd64", LABELS)
    wrong = {guarded.host: (TokenService().user, "wrong")}
    for tag in ("1", "gone"):
        assert "HTTP Basic: Access denied" in refusal(guarded.host, f"{name}:{tag}", wrong)


def test_credentials_are_never_offered_to_another_registry(guarded: Registry) -> None:
    message = refusal(guarded.host, f"{GROUP}other:1", {"registry.example.org": ("user", SECRET)})
    assert "access forbidden" in message


def test_without_credentials_a_group_is_closed(guarded: Registry) -> None:
    assert "access forbidden" in refusal(guarded.host, f"{GROUP}closed:1")


def test_without_credentials_public_images_are_found(guarded: Registry) -> None:
    name = f"{PUBLIC}image"
    digest = push_image(guarded, name, "1", "amd64", LABELS)
    assert ask(guarded.host, f"{name}:1") == Published(digest, LABELS, "amd64")


def test_a_token_that_allows_nothing_is_no_answer(guarded: Registry) -> None:
    assert "HTTP 401" in refusal(guarded.host, "elsewhere/image:1", guarded.credentials)


def test_many_questions_at_once_share_one_token_for_each_repository(guarded: Registry) -> None:
    names = [f"{GROUP}many/{number}" for number in range(5)]
    published = {f"{guarded.host}/{name}:1": push_image(guarded, name, "1", "amd64", LABELS) for name in names}
    queries = [Query(f"{guarded.host}/{name}:{tag}", "amd64") for name in names for tag in range(1, 41)]
    assert guarded.token_server is not None
    before = len(guarded.token_server.requests)
    answers = RegistryClient(guarded.credentials).look_up(queries)
    found = {query.reference: answer.digest for query, answer in answers.items() if answer}
    assert found == published
    assert len(answers) == len(queries)
    scopes = Counter(scope for request in guarded.token_server.requests[before:] for scope in request.query["scope"])
    assert scopes == {f"repository:{name}:pull": 1 for name in names}


def test_the_password_is_in_no_message_log_or_repr(guarded: Registry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = RegistryClient({guarded.host: ("nobody", SECRET)})
    with pytest.raises(CouldNotAskError) as caught:
        client.look_up([Query(f"{guarded.host}/{GROUP}secret:1", "amd64")])
    ask(guarded.host, f"{GROUP}secret:1", credentials=guarded.credentials)
    assert caplog.text
    encoded = [base64.b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("nobody", TokenService().user)]
    texts = [str(caught.value), repr(caught.value), repr(client), str(client), caplog.text]
    assert not [text for text in texts for secret in (SECRET, *encoded) if secret in text]


# Servers that misbehave


def image_routes(labels: Mapping[str, str] = LABELS, repository: str = IMAGE) -> dict[str, Answer]:
    """The answers that make up one image with the tag `1`, by path."""
    blob = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": labels}}).encode()
    manifest = json.dumps({"config": {"digest": digest_of(blob)}}).encode()
    return {
        f"/v2/{repository}/manifests/1": Answer(body=manifest, headers={"Content-Type": OCI_MANIFEST}),
        f"/v2/{repository}/blobs/{digest_of(blob)}": Answer(body=blob),
    }


def blob_path(routes: Mapping[str, Answer]) -> str:
    return next(path for path in routes if "/blobs/" in path)


def by_path(routes: Mapping[str, Answer]) -> Callable[[Request], Answer]:
    return lambda request: routes.get(request.path, Answer(404))


def challenge(parameters: str) -> Answer:
    return error_answer(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": parameters})


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def authorizations(server: LoopbackServer) -> list[str]:
    return [request.headers["authorization"] for request in server.requests if "authorization" in request.headers]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401), "HTTP 401"),
        (error_answer(403, "DENIED", "not for you"), "HTTP 403 Forbidden: not for you"),
        (Answer(400), "HTTP 400"),
        (Answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"}), "no JSON"),
        (Answer(200, b"[]"), "no JSON object"),
        (Answer(200, b""), "no JSON"),
        (Answer(200, b"\xff\xfe"), "no JSON"),
        (Answer(200, b"{}"), "no image manifest"),
        (Answer(200, b'{"manifests": []}', {"Content-Length": "1000"}), ""),
        (Answer(204), "HTTP 204"),
    ],
    ids=["401", "403", "400", "HTML", "list", "nothing", "no text", "no manifest", "cut off", "204"],
)
def test_what_is_no_image_is_no_answer(answer: Answer, words: str) -> None:
    with serve(lambda _: answer) as server:
        assert words in refusal(server.host)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_stays_broken_is_asked_again_and_then_gives_no_answer(
    status: int, pauses: Sequence[float]
) -> None:
    with serve(lambda _: Answer(status)) as server:
        assert f"HTTP {status}" in refusal(server.host)
        assert len(server.requests) == 4
    assert 1 < sum(pauses) < 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_asked_again(status: int) -> None:
    routes = image_routes()
    busy = [Answer(status, headers={"Retry-After": "0"})]
    with serve(lambda request: busy.pop() if busy else by_path(routes)(request)) as server:
        published = ask(server.host)
    assert published is not None
    assert published.labels == LABELS


def test_a_refused_connection_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        assert "cannot connect" in refusal(host)


def test_silence_is_no_answer() -> None:
    client = RegistryClient(patience=Patience(connect=0.2, read=0.2, silent_attempts=2, backoff=0.01))
    with serve(lambda _: None) as server:
        query = Query(f"{server.host}/{IMAGE}:1", "amd64")
        with pytest.raises(CouldNotAskError, match=r"no answer within 0\.2 seconds"):
            client.look_up([query])


def test_a_manifest_with_another_digest_than_asked_for_is_no_answer() -> None:
    asked = digest_of(b"what was asked for")
    with serve(lambda _: Answer(body=b'{"config": {}}')) as server:
        message = refusal(server.host, f"{IMAGE}@{asked}")
    assert asked in message
    assert digest_of(b'{"config": {}}') in message


def test_a_member_of_an_index_with_another_digest_is_no_answer() -> None:
    member = digest_of(b"the real member")
    index = {"manifests": [{"digest": member, "platform": {"architecture": "amd64", "os": "linux"}}]}
    routes = {
        f"/v2/{IMAGE}/manifests/1": Answer(body=json.dumps(index).encode(), headers={"Content-Type": OCI_INDEX}),
        f"/v2/{IMAGE}/manifests/{member}": image_routes()[f"/v2/{IMAGE}/manifests/1"],
    }
    with serve(by_path(routes)) as server:
        assert member in refusal(server.host)


def test_a_configuration_with_another_digest_is_no_answer() -> None:
    routes = image_routes()
    forged = Answer(body=json.dumps({"architecture": "amd64", "config": {"Labels": STALE}}).encode())
    with serve(by_path({**routes, blob_path(routes): forged})) as server:
        assert "sha256:" in refusal(server.host)


def test_a_manifest_that_names_a_lost_configuration_is_no_answer() -> None:
    routes = image_routes()
    lost = blob_path(routes)
    with serve(by_path({path: answer for path, answer in routes.items() if path != lost})) as server:
        assert lost.rpartition("/")[2] in refusal(server.host)


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": None},
        {"manifests": 1},
        {"manifests": ["text"]},
        {"manifests": [{"platform": {"architecture": "amd64"}}]},
        {"manifests": [{"platform": "amd64", "digest": "sha256:" + "0" * 64}]},
    ],
    ids=["null", "number", "texts", "no digest", "platform is text"],
)
def test_an_index_that_makes_no_sense_is_no_answer(index: object) -> None:
    with serve(lambda _: Answer(body=json.dumps(index).encode())) as server:
        refusal(server.host)


@pytest.mark.parametrize("labels", ["text", ["a", "list"], 7], ids=["text", "list", "number"])
def test_labels_that_make_no_sense_are_no_answer(labels: object) -> None:
    blob = json.dumps({"architecture": "amd64", "config": {"Labels": labels}}).encode()
    manifest = json.dumps({"config": {"digest": digest_of(blob)}}).encode()
    with serve(lambda request: Answer(body=blob if "/blobs/" in request.path else manifest)) as server:
        refusal(server.host)


# Where credentials go


def test_a_registry_with_basic_authentication_gets_the_credentials() -> None:
    routes = image_routes()

    def answer(request: Request) -> Answer:
        known = request.headers.get("authorization") == basic("user", SECRET)
        return by_path(routes)(request) if known else challenge('Basic realm="registry"')

    with serve(answer) as server:
        found = ask(server.host, credentials={server.host: ("user", SECRET)})
        assert found is not None
        assert found.labels == LABELS
        assert "HTTP 401" in refusal(server.host)
        assert "HTTP 401" in refusal(server.host, credentials={server.host: ("user", "wrong")})


def test_a_password_in_any_script_is_sent_as_utf_8() -> None:
    """Source: RFC 7617, section 2.1; other container tools do the same."""
    password = "pässwört-€"
    expected = basic("user", password)

    def answer(request: Request) -> Answer:
        if request.headers.get("authorization") == expected:
            return by_path(image_routes())(request)
        return challenge('Basic realm="registry"')

    with serve(answer) as server:
        assert ask(server.host, credentials={server.host: ("user", password)}) is not None


@pytest.mark.parametrize(
    "realm",
    [
        "http://tokens.example.org/auth",
        "ftp://tokens.example.org/auth",
        "",
        "tokens",
        "http://[::1",
        "http://127.0.0.1@tokens.example.org/",
    ],
    ids=["plain", "ftp", "none", "no URL", "broken URL", "disguised"],
)
def test_a_token_service_that_is_not_reached_safely_gets_nothing(realm: str) -> None:
    with serve(lambda _: challenge(f'Bearer realm="{realm}",service="registry"')) as server:
        message = refusal(server.host, credentials={server.host: ("user", SECRET)})
        assert not authorizations(server)
    assert "token service" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(body=b"{}"), "no token"),
        (Answer(body=b"<html>"), "no JSON"),
        (Answer(404), "HTTP 404"),
        (Answer(500, headers={"Retry-After": "0"}), "HTTP 500"),
    ],
    ids=["empty", "HTML", "404", "500"],
)
def test_a_token_service_that_gives_no_token_is_no_answer(answer: Answer, words: str) -> None:
    with (
        serve(lambda _: answer) as tokens,
        serve(lambda _: challenge(f'Bearer realm="http://{tokens.host}/",service="registry"')) as server,
    ):
        assert words in refusal(server.host)


def test_wrong_credentials_are_tried_only_once_for_a_repository() -> None:
    """GitLab locks out whoever keeps on sending a wrong password ("Failed authentication ban")."""
    with (
        serve(lambda _: error_answer(401, "UNAUTHORIZED", "HTTP Basic: Access denied")) as tokens,
        serve(lambda _: challenge(f'Bearer realm="http://{tokens.host}/",service="registry"')) as server,
    ):
        queries = [Query(f"{server.host}/{IMAGE}:{tag}", "amd64") for tag in range(20)]
        with pytest.raises(CouldNotAskError) as caught:
            RegistryClient({server.host: ("user", SECRET)}).look_up(queries)
        assert all(query.reference in str(caught.value) for query in queries)
        assert len(tokens.requests) == 1


def test_a_token_that_has_expired_is_replaced() -> None:
    given: list[str] = []
    routes = image_routes()

    def give_token(_: Request) -> Answer:
        given.append(f"token-{len(given)}")
        return Answer(body=json.dumps({"token": given[-1]}).encode())

    def answer(request: Request) -> Answer:
        if given and request.headers.get("authorization") == f"Bearer {given[-1]}":
            return by_path(routes)(request)
        return challenge(f'Bearer realm="http://{tokens.host}/",service="registry"')

    with serve(give_token) as tokens, serve(answer) as server:
        query = Query(f"{server.host}/{IMAGE}:1", "amd64")
        client = RegistryClient({server.host: ("user", SECRET)})
        first = client.look_up([query])
        given.append("the time of the first one is over")
        assert client.look_up([query]) == first


@pytest.fixture
def storage() -> Iterator[LoopbackServer]:
    """The storage that a registry redirects to: it has every blob of the image, whatever the path."""
    blob = image_routes()[blob_path(image_routes())]
    with serve(lambda _: blob) as server:
        yield server


def redirecting(target: str) -> Callable[[Request], Answer]:
    """A registry that gives tokens itself and keeps its blobs at `target`, which is a host."""
    routes = image_routes()

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            return Answer(body=b'{"token": "secret-token"}')
        if request.headers.get("authorization") != "Bearer secret-token":
            return challenge(f'Bearer realm="http://{request.headers["host"]}/token",service="registry"')
        if "/blobs/" in request.path:
            return Answer(307, headers={"Location": f"http://{target}/signed"})
        return by_path(routes)(request)

    return answer


@pytest.mark.parametrize("other_name", [True, False], ids=["another host", "another port"])
def test_a_redirect_to_a_storage_carries_no_authorization(storage: LoopbackServer, other_name: bool) -> None:
    target = storage.other_host if other_name else storage.host
    with serve(redirecting(target)) as server:
        found = ask(server.host, credentials={server.host: ("user", SECRET)})
        assert set(authorizations(server)) == {basic("user", SECRET), "Bearer secret-token"}
    assert found is not None
    assert found.labels == LABELS
    assert storage.requests
    assert not authorizations(storage)


def test_a_redirect_to_a_storage_carries_no_authorization_of_the_netrc_file(
    storage: LoopbackServer, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine localhost login somebody password {SECRET}\n")
    with serve(redirecting(storage.other_host)) as server:
        assert ask(server.host, credentials={server.host: ("user", SECRET)}) is not None
    assert storage.requests
    assert not authorizations(storage)


def test_the_netrc_file_is_not_asked_for_registries(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login somebody password {SECRET}\n")
    with serve(by_path(image_routes())) as server:
        assert ask(server.host) is not None
        assert not authorizations(server)


def test_credentials_do_not_go_to_a_token_service_that_a_storage_names() -> None:
    """Only the registry itself may say where its tokens are."""

    def answer(request: Request) -> Answer:
        if "/blobs/" in request.path:
            return Answer(307, headers={"Location": f"http://{elsewhere.other_host}/signed"})
        return by_path(image_routes())(request)

    with (
        serve(lambda _: Answer(body=b'{"token": "any"}')) as thief,
        serve(lambda _: challenge(f'Bearer realm="http://{thief.host}/",service="storage"')) as elsewhere,
        serve(answer) as server,
    ):
        assert "HTTP 401" in refusal(server.host, credentials={server.host: ("user", SECRET)})
        assert not authorizations(thief)


def test_credentials_do_not_follow_a_redirect_of_the_token_service() -> None:
    with (
        serve(lambda _: Answer(body=b'{"token": "any"}')) as thief,
        serve(lambda _: Answer(307, headers={"Location": f"http://{thief.other_host}/"})) as tokens,
        serve(lambda _: challenge(f'Bearer realm="http://{tokens.host}/",service="registry"')) as server,
    ):
        refusal(server.host, credentials={server.host: ("user", SECRET)})
        assert authorizations(tokens)
        assert thief.requests
        assert not authorizations(thief)


def test_an_answer_that_unpacks_without_end_is_read_no_further_than_documents_are_large() -> None:
    packed = gzip.compress(bytes(1 << 30), compresslevel=1)
    with serve(lambda _: Answer(body=packed, headers={"Content-Encoding": "gzip"})) as server:
        begin = time.monotonic()
        assert "larger than 4 MiB" in refusal(server.host)
    assert time.monotonic() - begin < 5


def test_an_answer_that_drips_is_given_up() -> None:
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            with suppress(OSError):
                while not ended.wait(0.02):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        try:
            host = f"127.0.0.1:{listening.getsockname()[1]}"
            client = RegistryClient(patience=Patience(whole=0.3, attempts=1, silent_attempts=1))
            with pytest.raises(CouldNotAskError, match="or takes too long"):
                client.look_up([Query(f"{host}/{IMAGE}:1", "amd64")])
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize("tags", [["a", "b"], [], None])
def test_a_list_of_tags_that_does_not_end_is_no_list(tags: list[str] | None) -> None:
    page = Answer(body=json.dumps({"tags": tags}).encode(), headers={"Link": '</v2/x?last=b>; rel="next"'})
    with serve(lambda _: page) as server:
        with pytest.raises(CouldNotAskError, match="the list of tags does not end"):
            OciRepository(f"oci+http://{server.host}/{IMAGE}").tags()
        assert len(server.requests) <= 2
