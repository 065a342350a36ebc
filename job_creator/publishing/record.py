"""What is known of a published SIF file, and how that travels: as S3 metadata of the object, as JSON beside a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from foundation.errors import Fault, InvalidInputError
from foundation.registries.reference import is_container_name
from job_creator.provenance.signing import SignatureVerdict
from job_creator.provenance.statements import canonical
from job_creator.site.places import SifBucket

RECORD_VERSION: Final = "1"
"""To be raised when the meaning of a field changes; records of other versions count as not ours."""
VERSION_KEY: Final = "record-version"
_KIND: Final = "sif"
MADE_FROM: Final = ("container", "architecture", "container_checksum", "image_digest")
"""What a file and its copy for another branch have in common."""
MAX_METADATA: Final = 2048
"""Bytes of all keys and values (Amazon S3 user guide, "Working with object metadata")."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"[0-9]{1,16}")
_NUMBERS: Final = {"size": "a number of bytes", "pipeline": "a number"}
_FLAGS: Final = ("is_release",)
_PATTERNS: Final = {
    "version": re.compile(r".+"),
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
    "architecture": re.compile(r".+"),
    "ref": re.compile(r"(refs/.+)?"),
    "container_checksum": _SHA256,
    "spack_lock_sha256": re.compile(r"([0-9a-f]{64})?"),
    "image_digest": re.compile(r"(sha256:[0-9a-f]{64})?"),
    "sha256": re.compile(r"([0-9a-f]{64})?"),
    "etags": re.compile(r"([0-9a-f]{32}(-[0-9]{1,5})?( [0-9a-f]{32}(-[0-9]{1,5})?)*)?"),
}
_ADDED_BY_PUBLISHING: Final = {"image_digest": 71, "sha256": 64, "size": 16, "published": 20, "etags": 73}
"""The longest values of what is not known yet when the pipeline is generated."""


@dataclass(frozen=True, slots=True)
class PublicationRecord:
    """What is known of one published SIF file. Fields that have a default are empty where nothing is known."""

    container: str
    version: str
    tag: str
    architecture: str
    ref: str
    """The full git ref: `refs/heads/feature/X`, `refs/tags/v1`; empty outside CI."""
    is_release: bool
    """Whether it was built on the default branch."""
    container_checksum: str
    """The fingerprint of what it is built from, 64 hex digits."""
    spack_lock_sha256: str = ""
    commit: str = ""
    pipeline_url: str = ""
    pipeline: int = 0
    """The number of the pipeline that a push started; later ones have higher numbers, whatever is retried in them."""
    image_digest: str = ""
    """`sha256:…` of the image that the file was made from."""
    sha256: str = ""
    """Of the SIF file, 64 hex digits."""
    size: int = 0
    """Of the SIF file, in bytes."""
    published: str = ""
    """When, in UTC: `2025-01-31T12:00:00Z`."""
    etags: str = ""
    """The ETags that servers give to the file: the MD5 of its parts' MD5s, and that of the whole.

    Empty where the server gave another one.
    """

    @property
    def file_name(self) -> str:
        """`<container>__<tag>.sif`. Made from the record; a record is never made from it."""
        return f"{self.container}__{self.tag}.sif"

    @property
    def identity(self) -> dict[str, str]:
        """What says whether a published file is the one that would be published now.

        Two refs can have one file name: `a/b` and `a-b` have the same slug.
        """
        names = ("container_checksum", "image_digest", "architecture", "ref", "is_release")
        return {name: _as_text(getattr(self, name)) for name in names}

    @property
    def published_at(self) -> datetime | None:
        """When it was published; `None` if that is not known."""
        return _read_time(self.published)

    def to_metadata(self) -> dict[str, str]:
        """As S3 user metadata: lower-case keys with hyphens (proxies drop underscores) and printable ASCII values.

        What is not printable ASCII, spaces and `%` are percent-encoded; empty fields are left out.
        """
        texts = {name: _as_text(value) for name, value in asdict(self).items()}
        encoded = {name: quote(text, safe=_PRINTABLE) for name, text in texts.items() if text}
        return {VERSION_KEY: RECORD_VERSION, **_hyphenated(encoded)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> PublicationRecord | None:
        """The record that S3 metadata holds. `None` if it holds none, or a damaged one: the object is not ours."""
        if metadata.get(VERSION_KEY) != RECORD_VERSION:
            return None
        known = {name: metadata[key] for name in _NAMES if (key := name.replace("_", "-")) in metadata}
        texts = {name: unquote(text) for name, text in known.items()}
        value: dict[str, Any] = {"ref": "", **texts}
        value |= {name: int(text) for name in _NUMBERS if _NUMBER.fullmatch(text := texts.get(name, ""))}
        value |= {name: text == "true" for name in _FLAGS if (text := texts.get(name, "")) in ("true", "false")}
        if any(_faults(value)):
            return None
        record = cls(**value)
        # Whatever does not come out as it went in was not written by this module.
        return record if record.to_metadata() == {VERSION_KEY: RECORD_VERSION, **_hyphenated(known)} else None

    def to_signed(self) -> bytes:
        """What is signed: the same, in the one spelling that signed things have (docs/provenance.md)."""
        return canonical({"kind": _KIND, **self.to_value()})

    def to_json(self) -> str:
        """As the JSON document that lies beside the file on a cluster, and that a pipeline hands to `publish-sif`."""
        return json.dumps(self.to_value(), indent=2) + "\n"

    def to_value(self) -> dict[str, Any]:
        """What that JSON document holds."""
        return {"record_version": int(RECORD_VERSION), **asdict(self)}

    @classmethod
    def from_json(cls, text: str | bytes, path: str) -> PublicationRecord:
        """Read what `to_json` wrote. `path` is for messages. Raises `InvalidInputError` with everything wrong in it."""
        try:
            value = json.loads(text)
        except ValueError as error:  # also text that is no UTF-8
            line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            raise InvalidInputError([Fault(path, line, column, f"no valid JSON: {error}")]) from None
        if not isinstance(value, dict) or str(value.pop("record_version", "")) != RECORD_VERSION:
            message = f"no record of a SIF file; it must be a JSON object with 'record_version': {RECORD_VERSION}"
            raise InvalidInputError([Fault(path, 1, 1, message)])
        if value.get("kind") == _KIND:
            del value["kind"]  # As it was signed.
        faults = [Fault(path, 1, 1, message) for message in _faults(value)]
        if faults:
            raise InvalidInputError(faults)
        return cls(**value)


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A SIF file that is published for another branch."""

    record: PublicationRecord
    proof: SignatureVerdict
    bucket: SifBucket
    """Where it is: where this run publishes, too, or where only the default branch does."""

    @property
    def url(self) -> str:
        """`s3://bucket/prefix/file`."""
        return f"{self.bucket.url}/{self.record.file_name}"


_NAMES: Final = tuple(field.name for field in fields(PublicationRecord))
_REQUIRED: Final = frozenset(field.name for field in fields(PublicationRecord) if field.default is MISSING)
_PRINTABLE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def write_time(time: datetime) -> str:
    """A point in time as records hold it, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _hyphenated(texts: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): text for name, text in texts.items()}


def _as_text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value or "")


def _faults(value: Mapping[str, Any]) -> Iterator[str]:
    """What keeps the fields from being a record, in words."""
    yield from (f"unknown field '{name}'" for name in sorted(value.keys() - set(_NAMES)))
    yield from (f"'{name}' is missing" for name in sorted(_REQUIRED - value.keys()))
    wrong = [name for name in _NAMES if name in value and not _is_of_its_type(name, value[name])]
    yield from (f"'{name}' must be {_type_of(name)}" for name in wrong)
    texts = {name: text for name, text in value.items() if name in _NAMES and name not in wrong}
    for name, pattern in _PATTERNS.items():
        if name in texts and not pattern.fullmatch(texts[name]):
            yield f"'{name}' cannot be {texts[name]!r}"
    if "container" in texts and not is_container_name(texts["container"]):
        yield f"'container' cannot be {texts['container']!r}"
    if texts.get("published") and _read_time(texts["published"]) is None:
        yield f"'published' must look like 2025-01-31T12:00:00Z, not {texts['published']!r}"
    if (size := _metadata_size(texts)) > MAX_METADATA:
        yield f"as metadata of an S3 object it would take {size} bytes; {MAX_METADATA} are allowed"


def _is_of_its_type(name: str, value: object) -> bool:
    if name in _FLAGS:
        return isinstance(value, bool)
    if name in _NUMBERS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    # JSON can spell halves of surrogate pairs, which no encoding of text has.
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _type_of(name: str) -> str:
    return "true or false" if name in _FLAGS else _NUMBERS.get(name, "text")


def _metadata_size(texts: Mapping[str, str | int]) -> int:
    lengths = {name: len(quote(_as_text(value), safe=_PRINTABLE)) for name, value in texts.items()}
    lengths |= {name: max(lengths.get(name, 0), longest) for name, longest in _ADDED_BY_PUBLISHING.items()}
    return len(VERSION_KEY) + len(RECORD_VERSION) + sum(len(name) + length for name, length in lengths.items())
