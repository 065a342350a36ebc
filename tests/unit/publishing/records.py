"""Records that tests work with, and how hypothesis makes others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from job_creator.publishing.record import PublicationRecord, write_time

MAIN = "refs/heads/main"
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
RELEASE = PublicationRecord("neuron", "9.0", "9.0", "amd64", MAIN, True, "a" * 64)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


def branch(ref: str, tag: str = "9.0__branch", **changes: Any) -> PublicationRecord:
    """What a pipeline of a branch publishes."""
    return replace(RELEASE, ref=f"refs/heads/{ref}", tag=tag, is_release=False, **changes)


def days_ago(days: float) -> str:
    """A time of publication."""
    return write_time(NOW - timedelta(days=days))


def _refs() -> st.SearchStrategy[str]:
    names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
    prefixes = st.sampled_from(["refs/heads/", "refs/tags/", "refs/merge-requests/"])
    return st.just("") | st.builds(str.__add__, prefixes, names)


def records() -> st.SearchStrategy[PublicationRecord]:
    """Any record that can be published."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    return st.builds(
        PublicationRecord,
        container=st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,5})?", fullmatch=True),
        version=st.from_regex(r"[^\n\ud800-\udfff]{1,20}", fullmatch=True),
        tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}", fullmatch=True),
        architecture=st.sampled_from(["amd64", "arm64"]),
        ref=_refs(),
        is_release=st.booleans(),
        container_checksum=HEX,
        spack_lock_sha256=st.just("") | HEX,
        commit=text,
        pipeline_url=text,
        image_digest=st.just("") | HEX.map("sha256:{}".format),
        sha256=st.just("") | HEX,
        size=st.integers(0, 10**13),
        published=st.just("") | st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(_in_utc),
    )


def _in_utc(time: datetime) -> str:
    return write_time(time.replace(tzinfo=UTC))
