"""The headers of SIF files, as they are laid out by the library that Apptainer writes them with."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError, ExitCode
from job_creator.__main__ import main
from job_creator.containers.settled_sif import changes

EPOCH = 315_619_200
TOTAL = 3


def descriptor(used: bool, identifier: int, when: int, user: int) -> bytes:
    numbers = struct.pack("<i?3I7q", 0x4004, used, identifier, 1, 0, 9000, 5, 5, when, when + 1, user, user)
    return (numbers + b"name").ljust(41 + 32 + 128, b"\0") + b"\1" * 384


def sif(identifier: bytes, when: int, user: int, total: int = TOTAL, length: int = TOTAL * 585) -> bytes:
    """A file with two descriptors in use, and a free one."""
    head = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" + b"02\0" + identifier
    head += struct.pack("<8q", when, when + 1, 1, total, 4096, length, 9000, 5)
    table = descriptor(True, 1, when, user) + descriptor(True, 2, when, user) + descriptor(False, 9, 77, 78)
    return (head.ljust(4096, b"\0") + table).ljust(9000, b"\0") + b"data!"


def settled(content: bytes) -> bytes:
    def read(start: int, size: int) -> bytes:
        if start + size > len(content):
            raise EOFError
        return content[start : start + size]

    changed = bytearray(content)
    for place, new in changes(read, len(content), EPOCH).items():
        changed[place : place + len(new)] = new
    assert len(changed) == len(content)
    return bytes(changed)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**40), st.integers(0, 2**31))
def test_whoever_makes_it_whenever_the_file_is_the_same(identifier: bytes, when: int, user: int) -> None:
    one = settled(sif(identifier, when, user))
    assert one == settled(sif(bytes(16), 5, 6)) == settled(one)
    # What says where data is, and of which kind, stays.
    assert one[:48] == sif(identifier, when, user)[:48]
    assert one[80:4096] == sif(identifier, when, user)[80:4096]
    assert one[4096 + 2 * 585 :] == sif(identifier, when, user)[4096 + 2 * 585 :]
    assert struct.unpack_from("<2q", one, 64) == struct.unpack_from("<2q", one, 4096 + 585 + 41) == (EPOCH, EPOCH)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>" * 100,
        sif(bytes(16), 1, 1)[:100],
        sif(bytes(16), 1, 1)[:5000],
        sif(bytes(16), 1, 1, total=2**40, length=585 * 2**40),
        sif(bytes(16), 1, 1, total=-1),
        sif(bytes(16), 1, 1, length=584),
        sif(bytes(16), 1, 1).replace(b"01\0", b"02\0", 1),
    ],
    ids=[
        "empty",
        "a page",
        "no header",
        "no descriptors",
        "very many",
        "less than none",
        "odd length",
        "other version",
    ],
)
def test_what_is_no_sif_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedError):
        settled(content)
    file = tmp_path / "x.sif"
    file.write_bytes(content)
    result = CliRunner().invoke(main, ["settle-sif", str(file)])
    assert result.exit_code == ExitCode.DAMAGED, result.output
    assert file.read_bytes() == content


def test_the_command_changes_the_file_in_place(tmp_path: Path) -> None:
    file = tmp_path / "x.sif"
    file.write_bytes(sif(b"x" * 16, 1, 2))
    assert CliRunner().invoke(main, ["settle-sif", str(file)]).exit_code == 0
    assert file.read_bytes() == settled(sif(bytes(16), 9, 9))
