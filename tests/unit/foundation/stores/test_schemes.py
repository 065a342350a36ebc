"""What URLs lead to, and that there is an opener for each row of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import RefusedError
from foundation.stores.opening import url_of
from foundation.stores.schemes import (
    BUCKET,
    FOLDER,
    REGISTRY,
    SCHEMES,
    WEB_SERVER,
    PlaceKind,
    folder_url,
    is_plain_registry,
    kind_of,
    path_of,
)
from job_creator.mirrors.filling.opening import open_destination
from job_creator.mirrors.places import open_place


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mirror", FOLDER),
        ("/shared/mirror", FOLDER),
        ("file:///shared/mirror", FOLDER),
        ("s3://bucket/prefix", BUCKET),
        ("http://mirror.example.org", WEB_SERVER),
        ("https://mirror.example.org/a", WEB_SERVER),
        ("oci://registry.example.org/cache", REGISTRY),
        ("oci+http://127.0.0.1:5000/cache", REGISTRY),
        ("ftp://mirror.example.org", None),
    ],
)
def test_a_scheme_says_what_a_url_leads_to(url: str, kind: PlaceKind | None) -> None:
    assert kind_of(url) is kind
    assert is_plain_registry(url) == url.startswith("oci+")


@pytest.mark.parametrize("path", ["/a b/c", "/g++/100%", "/straße", "/x#y?z"])
def test_paths_are_quoted_in_urls_and_found_again(path: str) -> None:
    assert path_of(folder_url(path)) == path
    assert path_of(path) == path
    assert " " not in folder_url(path)


def test_mirrors_have_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert url_of("some mirror") == f"file://{tmp_path}/some%20mirror"
    assert url_of("s3://bucket/prefix/") == "s3://bucket/prefix"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_kind_of_place_can_be_opened(scheme: str, tmp_path: Path) -> None:
    """Whoever adds a row is told here that something has to open it."""
    rest = f"{tmp_path}/gone" if SCHEMES[scheme] is FOLDER else "host.example.org/cache"
    place = open_place(f"{scheme}://{rest}" if scheme else rest, None, {"HOME": str(tmp_path)})
    assert (place is None) == (SCHEMES[scheme] is FOLDER)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_can_only_be_read_or_has_no_groups_is_refused(scheme: str, tmp_path: Path) -> None:
    kind = SCHEMES[scheme]
    if kind.has_groups:
        return
    message = f"a {kind.name} has no groups" if kind.can_be_filled else "can only be read"
    with pytest.raises(RefusedError, match=message):
        open_destination(f"{scheme}://host.example.org/cache", None, {}, "some group", tmp_path)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="ftp:// is not supported"):
        open_place("ftp://host/mirror", None, {})
    with pytest.raises(RefusedError, match="can only be read"):
        open_destination("ftp://host/mirror", None, {}, None, tmp_path)
