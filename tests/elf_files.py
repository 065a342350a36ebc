"""Shared libraries and programs of a few hundred bytes, for tests that only read them; nothing could run them.

They have what the loader would read: needed libraries, a soname, where to look, and symbols.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

_BASE: Final = 0x1000
_NEEDED, _STRTAB, _SONAME, _RPATH = 1, 5, 14, 15
_GLOBAL_FUNCTION: Final = 0x12
_LINKS: Final = {11: (2, 1, 8, 24), 6: (2, 0, 8, 16)}
"""Which section one refers to, its first global symbol, its alignment and the size of its entries."""
_SECTIONS: Final = ("", ".dynsym", ".dynstr", ".dynamic", ".interp", ".shstrtab")


def elf_file(
    *,
    soname: str = "",
    needed: Sequence[str] = (),
    rpath: str = "",
    defined: Sequence[str] = (),
    undefined: Sequence[str] = (),
    is_program: bool = False,
) -> bytes:
    """An ELF file for x86-64."""
    strings = _Strings()
    symbols = [(0, 0, 0, 0, 0, 0)]
    symbols += [(strings.add(name), _GLOBAL_FUNCTION, 0, 0, 0, 0) for name in undefined]
    symbols += [(strings.add(name), _GLOBAL_FUNCTION, 0, 1, _BASE, 8) for name in defined]
    tags = [(_NEEDED, strings.add(name)) for name in needed]
    tags += [(tag, strings.add(text)) for tag, text in ((_SONAME, soname), (_RPATH, rpath)) if text]
    names = _Strings()
    section_names = [names.add(name) for name in _SECTIONS]
    start = 64 + 3 * 56
    dynsym = b"".join(struct.pack("<IBBHQQ", *one) for one in symbols)
    strtab_at = start + len(dynsym)
    dynamic_at = strtab_at + len(strings.data)
    tags += [(_STRTAB, _BASE + strtab_at), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *one) for one in tags)
    interp_at = dynamic_at + len(dynamic)
    interp = b"/lib64/ld-linux-x86-64.so.2\0"
    parts = [
        (0, 0, b""),
        (11, start, dynsym),
        (3, strtab_at, bytes(strings.data)),
        (6, dynamic_at, dynamic),
        (1, interp_at, interp),
        (3, interp_at + len(interp), bytes(names.data)),
    ]
    body = b"".join(data for _, _, data in parts)
    sections_at = start + len(body)
    segments = [
        struct.pack("<IIQQQQQQ", kind, 5, at, _BASE + at, _BASE + at, size, size, 8)
        for kind, at, size in (
            (1, 0, sections_at),
            (2, dynamic_at, len(dynamic)),
            (3 if is_program else 0, interp_at, len(interp)),
        )
    ]
    sections = [
        struct.pack(
            "<IIQQQQIIQQ", section_names[number], kind, 0, _BASE + at, at, len(data), *_LINKS.get(kind, (0, 0, 1, 0))
        )
        for number, (kind, at, data) in enumerate(parts)
    ]
    counts = (len(segments), 64, len(sections), len(sections) - 1)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, *counts)
    return header + b"".join(segments) + body + b"".join(sections)


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at
