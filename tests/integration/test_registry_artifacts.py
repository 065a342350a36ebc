"""Texts beside images in a registry: real ones, and what somebody else put there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from foundation.doors.http import Patience
from foundation.errors import CouldNotAskError
from foundation.registries.artifacts import put_annotations, read_annotations
from foundation.registries.connections import RegistryConnections
from tests.integration.registry_server import (
    GROUP,
    Answer,
    EndedError,
    EndingConnections,
    Registry,
    TokenService,
    push_image,
    run_registry,
    serve,
)

TYPE = "application/vnd.example.statement"


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService()) as running:
        yield running


def test_what_is_said_is_read_and_said_anew(registry: Registry) -> None:
    here = RegistryConnections(registry.credentials)
    reference, other = (f"{registry.host}/{GROUP}builder:sha256-{one}.statement" for one in "ab")
    for said in ({"a": "1", "b": "-----\nlines\n"}, {"a": "2"}):
        put_annotations(here, reference, TYPE, said)
        assert read_annotations(here, [reference, other], TYPE) == {reference: said, other: {}}
    assert read_annotations(here, [reference], "application/other") == {reference: {}}


def test_saying_something_may_end_before_any_request_and_be_done_again(registry: Registry) -> None:
    """What was said before counts until all of the new text is there."""
    reference = f"{registry.host}/{GROUP}ends:sha256-a.statement"
    here = RegistryConnections(registry.credentials)
    put_annotations(here, reference, TYPE, {"a": "old"})
    watched = EndingConnections(registry.credentials, 100)
    put_annotations(watched, reference, TYPE, {"a": "old"})
    for left in range(100 - watched.left):
        with pytest.raises(EndedError):
            put_annotations(EndingConnections(registry.credentials, left), reference, TYPE, {"a": f"new {left}"})
        assert read_annotations(here, [reference], TYPE) == {reference: {"a": "old"}}
    put_annotations(here, reference, TYPE, {"a": "new"})
    assert read_annotations(here, [reference], TYPE) == {reference: {"a": "new"}}


def test_what_is_no_artifact_says_nothing(registry: Registry) -> None:
    push_image(registry, f"{GROUP}image", "1", "amd64", {"a": "1"})
    here = RegistryConnections(registry.credentials)
    reference = f"{registry.host}/{GROUP}image:1"
    assert read_annotations(here, [reference], TYPE) == {reference: {}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"artifactType": TYPE, "annotations": []}).encode(),
    ],
    ids=["empty", "list", "torn", "null", "binary", "deep", "no annotations"],
)
def test_damaged_artifacts_say_nothing(content: bytes) -> None:
    with serve(lambda request: Answer(body=content)) as server:
        reference = f"{server.host}/a:1"
        assert read_annotations(RegistryConnections(), [reference], TYPE) == {reference: {}}


def test_only_text_is_read() -> None:
    content = json.dumps({"artifactType": TYPE, "annotations": {"a": 1, "b": "2"}}).encode()
    with serve(lambda request: Answer(body=content)) as server:
        reference = f"{server.host}/a:1"
        assert read_annotations(RegistryConnections(), [reference], TYPE) == {reference: {"b": "2"}}


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_no_answer_is_no_empty_answer(status: int) -> None:
    patience = Patience(connect=1, read=1, attempts=1, silent_attempts=1, backoff=0, retry_after=0)
    with serve(lambda request: Answer(status)) as server:
        here, reference = RegistryConnections(patience=patience), f"{server.host}/a:1"
        with pytest.raises(CouldNotAskError, match=reference):
            read_annotations(here, [reference], TYPE)
        with pytest.raises(CouldNotAskError, match=reference):
            put_annotations(here, reference, TYPE, {"a": "1"})
