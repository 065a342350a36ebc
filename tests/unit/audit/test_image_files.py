"""The files of an image out of its layers: what is above hides what is below, and nothing leads out of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

import pytest

from foundation.errors import DamagedError
from job_creator.audit.image_files import ImageFiles

PROGRAM = b"\x7fELF program"


def layer(entries: Mapping[str, bytes | str | None], hard: Mapping[str, str] | None = None) -> io.BytesIO:
    """A layer with files, links (texts) and folders (`None`), and with hard links."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            elif content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        for name, target in (hard or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    stream.seek(0)
    return stream


def image(*layers: io.BytesIO) -> ImageFiles:
    found = ImageFiles(io.BytesIO())
    for one in layers:
        found.add(one)
    return found


def test_files_of_all_layers_are_there_the_upper_one_counts() -> None:
    found = image(layer({"opt": None, "opt/a": PROGRAM, "opt/b": b"#!/bin/sh\n"}), layer({"./opt/a": PROGRAM + b"2"}))
    assert sorted(found.files("/")) == ["/opt/a", "/opt/b"]
    assert (found.read("/opt/a"), found.head("/opt/b", 2), found.size("/opt/a")) == (PROGRAM + b"2", b"#!", 13)


def test_what_an_upper_layer_takes_away_is_gone() -> None:
    below = layer({"a/x": PROGRAM, "a/y": PROGRAM, "b/x": PROGRAM, "b/deep/z": PROGRAM})
    found = image(below, layer({"a/.wh.x": b"", "b/new": PROGRAM, "b/.wh..wh..opq": b""}))
    assert sorted(found.files("/")) == ["/a/y", "/b/new"]


def test_links_lead_within_the_image_only() -> None:
    links: dict[str, bytes | str | None] = {
        "lib": "usr/lib",
        "usr/lib/libx.so.1": PROGRAM,
        "out": "/../../lib/libx.so.1",
        "round": "round",
    }
    found = image(layer({**links, "bin/tool": "../usr/lib/libx.so.1"}, {"bin/hard": "usr/lib/libx.so.1"}))
    for path in ("/lib/libx.so.1", "/out", "/bin/tool", "/bin/hard", "/bin/../lib/libx.so.1"):
        assert (path, found.exists(path), found.read(path)) == (path, True, PROGRAM)
    assert not found.exists("/round")
    assert not found.exists("/usr/lib/libx.so.1/deeper")
    assert sorted(found.files("/")) == ["/bin/hard", "/usr/lib/libx.so.1"]


def test_a_link_in_place_of_a_folder_hides_what_was_below_it() -> None:
    found = image(layer({"opt/app/bin": PROGRAM, "new/bin": PROGRAM + b"2"}), layer({"opt/app": "/new"}))
    assert found.read("/opt/app/bin") == PROGRAM + b"2"


def test_only_what_counts_is_kept() -> None:
    kept = io.BytesIO()
    found = ImageFiles(kept)
    found.add(layer({"data": b"x" * 5000, "etc/ld.so.conf.d/a.conf": b"/lib/a\n", "bin/a": PROGRAM}))
    assert len(kept.getvalue()) == len(PROGRAM) + 7
    assert (found.exists("/data"), found.size("/data"), found.read("/data")) == (True, 5000, None)
    assert found.read("/etc/ld.so.conf.d/a.conf") == b"/lib/a\n"
    assert found.read("/none") is None


def test_packed_layers_are_read_and_others_are_told() -> None:
    assert image(io.BytesIO(gzip.compress(layer({"bin/a": PROGRAM}).getvalue()))).read("/bin/a") == PROGRAM
    for content in (b"no layer", layer({"bin/a": PROGRAM * 99}).getvalue()[:700]):
        with pytest.raises(DamagedError, match="is no layer"):
            image(io.BytesIO(content))
    with pytest.raises(DamagedError, match="nobody reads at once"):
        image(layer({"bin/a": PROGRAM})).read("/bin/a", 5)
