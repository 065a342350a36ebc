"""Pages of listings are read as botocore reads them, and whatever is no such page is left to it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

import botocore.loaders
import botocore.model
import pytest
from botocore.parsers import RestXMLParser
from hypothesis import given
from hypothesis import strategies as st

from foundation.stores.s3_listing import read_page

FIELDS = {"NextContinuationToken", "IsTruncated", "EncodingType", "Prefix", "Delimiter", "Contents", "CommonPrefixes"}
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))


@lru_cache(maxsize=1)
def shape() -> Any:
    description = botocore.loaders.create_loader().load_service_model("s3", "service-2")
    return botocore.model.ServiceModel(description).operation_model("ListObjectsV2").output_shape


def by_botocore(body: bytes) -> dict[str, Any]:
    parser: Any = RestXMLParser(timestamp_parser=datetime.fromisoformat)
    answer = parser.parse({"status_code": 200, "headers": {}, "body": body}, shape())
    found = {name: value for name, value in answer.items() if name in FIELDS}
    if "Contents" in found:
        wanted = ("Key", "Size", "LastModified", "ETag")
        found["Contents"] = [{name: one[name] for name in wanted} for one in found["Contents"]]
    return found


def page(objects: list[tuple[str, int, datetime]], prefixes: list[str], namespace: str, *, ends: bool) -> bytes:
    contents = "".join(
        f"<Contents>\n<Key>{escape(key)}</Key><Size>{size}</Size><LastModified>{time.isoformat()}Z</LastModified>"
        f"<ETag>&quot;{size:x}&quot;</ETag><StorageClass>STANDARD</StorageClass></Contents>"
        for key, size, time in objects
    )
    common = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in prefixes)
    rest = "" if ends else "<NextContinuationToken>1+/=</NextContinuationToken>"
    text = (
        f"<?xml version='1.0' encoding='UTF-8'?><ListBucketResult{namespace}><Name>b</Name><Prefix/>"
        f"<EncodingType>url</EncodingType><IsTruncated>{str(not ends).lower()}</IsTruncated>{rest}"
        f"{contents}{common}</ListBucketResult>"
    )
    return text.encode()


@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 2**45), TIMES), max_size=4),
    st.lists(TEXTS, max_size=3),
    st.sampled_from(["", NAMESPACE]),
    st.booleans(),
)
def test_a_page_reads_as_botocore_reads_it(
    objects: list[tuple[str, int, datetime]], prefixes: list[str], namespace: str, ends: bool
) -> None:
    body = page(objects, prefixes, namespace, ends=ends)
    found = read_page(body)
    assert found is not None
    assert found == by_botocore(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome</html>",
        b"<Error><Code>SlowDown</Code></Error>",
        page([("a", 1, datetime(2026, 1, 1, tzinfo=UTC))], [], "", ends=True)[:-3],
        page([("a", 1, datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))], [], "", ends=True).replace(b"Z<", b"<"),
        page([("a", 1, datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))], [], "", ends=True).replace(
            b"<Size>1", b"<Size>large"
        ),
        b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
    ],
)
def test_what_is_laid_out_otherwise_is_left_to_botocore(body: bytes) -> None:
    assert read_page(body) is None
