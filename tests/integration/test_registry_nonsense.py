"""A registry that says anything at all: it is an image, not there, or no answer, and never a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.doors.http import Patience
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.copies import copy_image, take_image
from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from job_creator.images.decisions import compare_labels
from tests.integration.registry_server import Answer, LoopbackServer, Request, digest_of, serve

WORDS = (
    "config",
    "digest",
    "size",
    "mediaType",
    "layers",
    "manifests",
    "platform",
    "architecture",
    "os",
    "Labels",
    "Env",
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 70) | st.text(max_size=6) | st.just(f"sha256:{'a' * 64}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@dataclass
class Nonsense:
    """A server, and what it says."""

    server: LoopbackServer
    client: RegistryClient
    said: dict[str, bytes]

    def say(self, manifest: Any, configuration: Any) -> str:
        """From now on. Returns the digest of the manifest."""
        self.said["manifests"], self.said["blobs"] = json.dumps(manifest).encode(), json.dumps(configuration).encode()
        return digest_of(self.said["manifests"])

    def try_all(self, digest: str) -> None:
        """Everything that is done with images that others published."""
        image = f"{self.server.host}/group/x"
        query = Query(f"{image}:1", "amd64")
        with suppress(CouldNotAskError):
            found = self.client.look_up([query])[query]
            if found:
                compare_labels({"a": "b" * 30}, found.labels)
        with suppress(CouldNotAskError, NotThereError):
            copy_image(self.client, f"{image}:1", f"{image}:2", {"label": "value"})
        with suppress(CouldNotAskError, NotThereError):
            take_image(self.client, f"{image}@{digest}", [f"{self.server.host}/other/x:2"])


@pytest.fixture(scope="module")
def nonsense() -> Iterator[Nonsense]:
    said: dict[str, bytes] = {}

    def answer(request: Request) -> Answer:
        return Answer(body=next((body for kind, body in said.items() if f"/{kind}/" in request.path), b""))

    with serve(answer) as server:
        patience = Patience(attempts=1, silent_attempts=1, read=5)
        yield Nonsense(server, RegistryClient(patience=patience), said)


@given(ANYTHING, ANYTHING)
def test_any_answer(nonsense: Nonsense, manifest: Any, configuration: Any) -> None:
    nonsense.try_all(nonsense.say(manifest, configuration))


@given(ANYTHING, ANYTHING, ANYTHING)
def test_any_image_with_a_configuration_of_its_own(nonsense: Nonsense, one: Any, other: Any, third: Any) -> None:
    configuration = {"architecture": one, "config": {"Labels": other, "Env": third}}
    config = {"digest": digest_of(json.dumps(configuration).encode()), "size": one}
    nonsense.try_all(nonsense.say({"config": config, "layers": other, "mediaType": third}, configuration))


def test_a_configuration_whose_checksum_nobody_here_can_check_is_not_believed(nonsense: Nonsense) -> None:
    nonsense.say({"config": {"digest": f"sha512:{'b' * 128}", "size": 2}}, {"architecture": "amd64"})
    with pytest.raises(CouldNotAskError, match="no sha256 checksum"):
        nonsense.client.look_up([Query(f"{nonsense.server.host}/group/x:1", "amd64")])
