"""Where something comes from, as in-toto statements with the predicate of SLSA, in envelopes that the site's key signs.

Sources: in-toto attestation framework, "Statement v1"; SLSA, "Provenance v1"; secure-systems-lab/dsse, "Protocol" (the
bytes that are signed) and "Envelope". A signature in an envelope is a detached OpenPGP signature in armor.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from job_creator.provenance.signing import UNSIGNED, SignatureVerdict, sign, verify
from job_creator.provenance.statements import canonical, read_canonical

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
ENVELOPE_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
BUILD_TYPE: Final = "urn:spacktainers:container:v1"
"""What `externalParameters` and `internalParameters` mean is said in docs/provenance.md."""
NOBODY: Final = "urn:spacktainers:unknown"
"""Who builds outside of CI."""
_LARGEST: Final = 1 << 20
"""Bytes of an envelope; one takes less than ten KiB."""


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Something with a checksum: what was made, what it was made from, or what came with it."""

    name: str
    sha256: str
    """64 hex digits."""

    def to_value(self, key: str = "name") -> dict[str, Any]:
        """As in-toto writes a resource."""
        return {key: self.name, "digest": {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True)
class Origin:
    """That a run made something. Only a signature says that it is true."""

    subjects: tuple[Ingredient, ...]
    parameters: Mapping[str, str | bool]
    """What was asked for: name, version, architecture, git ref."""
    fingerprint: str
    """Of everything that it was made from, 64 hex digits."""
    materials: tuple[Ingredient, ...] = ()
    """The image, the lockfile: what it was made from, by its checksum."""
    source: str = ""
    """The repository with the definitions, and `commit` in it."""
    commit: str = ""
    builder: str = NOBODY
    """The project whose pipelines build."""
    invocation: str = ""
    """The pipeline."""
    by_products: tuple[Ingredient, ...] = ()

    def to_value(self) -> dict[str, Any]:
        """The in-toto statement."""
        materials = [one.to_value("uri") for one in self.materials]
        if self.source and self.commit:
            materials.append({"uri": f"git+{self.source}", "digest": {"gitCommit": self.commit}})
        return {
            "_type": STATEMENT_TYPE,
            "subject": [one.to_value() for one in self.subjects],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": dict(self.parameters),
                    "internalParameters": {"fingerprint": self.fingerprint},
                    "resolvedDependencies": materials,
                },
                "runDetails": {
                    "builder": {"id": self.builder},
                    **({"metadata": {"invocationId": self.invocation}} if self.invocation else {}),
                    **({"byproducts": [one.to_value() for one in self.by_products]} if self.by_products else {}),
                },
            },
        }


def read_origin(value: Mapping[str, Any]) -> Origin | None:
    """Read what `Origin.to_value` wrote; `None` for anything else."""
    try:
        built, run = value["predicate"]["buildDefinition"], value["predicate"]["runDetails"]
        every = built["resolvedDependencies"]
        sources = [one for one in every if "gitCommit" in one["digest"]]
        origin = Origin(
            _ingredients(value["subject"]),
            built["externalParameters"],
            built["internalParameters"]["fingerprint"],
            _ingredients([one for one in every if one not in sources], "uri"),
            sources[0]["uri"].removeprefix("git+") if sources else "",
            sources[0]["digest"]["gitCommit"] if sources else "",
            run["builder"]["id"],
            run.get("metadata", {}).get("invocationId", ""),
            _ingredients(run.get("byproducts", [])),
        )
        return origin if origin.to_value() == value else None
    except (KeyError, TypeError, AttributeError, IndexError):
        return None


def _ingredients(values: Sequence[Mapping[str, Any]], key: str = "name") -> tuple[Ingredient, ...]:
    return tuple(Ingredient(one[key], one["digest"]["sha256"]) for one in values)


def sealed(origin: Origin, private_key: bytes, keyid: str = "") -> bytes:
    """A statement in an envelope with its signature. Raises `RefusedError` and `CouldNotAskError`."""
    payload = canonical(origin.to_value())
    signature = {"keyid": keyid, "sig": _text(sign(_signed_bytes(payload), private_key))}
    return canonical({"payload": _text(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


@dataclass(frozen=True, slots=True)
class Opened:
    """What is in an envelope, and what its signature is worth."""

    origin: Origin | None
    verdict: SignatureVerdict


NOT_A_STATEMENT: Final = "is no statement in an envelope, or was changed"


def opened(envelope: bytes, keys: bytes | None) -> Opened:
    """Read an envelope, and verify its signature with these keys. Raises `CouldNotAskError` if gpg cannot be asked."""
    value = read_canonical(envelope, _LARGEST)
    match value:
        case {"payload": str(text), "payloadType": found, "signatures": [*signatures]} if found == PAYLOAD_TYPE:
            payload = _bytes(text)
        case _:
            return Opened(None, SignatureVerdict(NOT_A_STATEMENT))
    statement = read_canonical(payload, _LARGEST)
    origin = read_origin(statement) if statement else None
    if origin is None:
        return Opened(None, SignatureVerdict(NOT_A_STATEMENT))
    match signatures:
        case [{"sig": str(signature)}]:
            return Opened(origin, verify(_signed_bytes(payload), _bytes(signature), keys))
    return Opened(origin, SignatureVerdict(UNSIGNED))


def _signed_bytes(payload: bytes) -> bytes:
    """What is signed (DSSE, "PAE")."""
    return b" ".join((b"DSSEv1", *_counted(PAYLOAD_TYPE.encode()), *_counted(payload)))


def _counted(data: bytes) -> tuple[bytes, bytes]:
    return str(len(data)).encode(), data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
