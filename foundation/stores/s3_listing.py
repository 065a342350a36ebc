"""Pages of listings, read at the speed of the XML parser: botocore's own reader takes longer than most servers do.

Only answers to `ListObjectsV2` are read here, and only the fields that somebody asks for. Everything else, errors, and
what is not laid out like such a page go to botocore.

Source: "ListObjectsV2", "Response Syntax", in Amazon's S3 API reference.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

from botocore.parsers import ResponseParserFactory, RestXMLParser

_SHAPE: Final = "ListObjectsV2Output"
_TEXTS: Final = {"NextContinuationToken", "ContinuationToken", "EncodingType", "Prefix", "Delimiter", "StartAfter"}


class PageParsers(ResponseParserFactory):
    """Makes botocore read pages of listings this way."""

    def create_parser(self, protocol_name: str) -> Any:
        """The parser for a protocol of Amazon's services."""
        if protocol_name == "rest-xml":
            defaults: Any = vars(self)["_defaults"]
            return _PageParser(**defaults)
        return super().create_parser(protocol_name)


class _PageParser(RestXMLParser):
    def _do_parse(self, response: Any, shape: Any) -> Any:
        page = read_page(response["body"]) if shape is not None and shape.name == _SHAPE else None
        return super()._do_parse(response, shape) if page is None else page  # type: ignore[misc]


def read_page(body: bytes) -> dict[str, Any] | None:
    """A page as botocore gives it, without fields that nobody here uses; `None` if this is no such page."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat bounds what entities may grow to; the server is the user's own
        if _name(root) != "ListBucketResult":
            return None
        return _page(root)
    except (ET.ParseError, ValueError, KeyError, TypeError):
        return None


def _page(root: ET.Element) -> dict[str, Any]:
    page: dict[str, Any] = {}
    objects: list[dict[str, Any]] = []
    prefixes: list[dict[str, Any]] = []
    for element in root:
        match _name(element):
            case "Contents":
                objects.append(_object(element))
            case "CommonPrefixes":
                prefixes.append({_name(one): one.text or "" for one in element})
            case "IsTruncated":
                page["IsTruncated"] = (element.text or "").strip() == "true"
            case name if name in _TEXTS:
                page[name] = element.text or ""
    if objects:
        page["Contents"] = objects
    if prefixes:
        page["CommonPrefixes"] = prefixes
    return page


def _object(element: ET.Element) -> dict[str, Any]:
    """Raises `KeyError` and `ValueError` where a field is missing or otherwise written."""
    fields = {_name(one): one.text or "" for one in element}
    return {
        "Key": fields["Key"],
        "Size": int(fields["Size"]),
        "LastModified": _time(fields["LastModified"]),
        "ETag": fields["ETag"],
    }


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text}: in which time zone?")
    return found


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
