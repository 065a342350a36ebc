"""What an ELF file says of itself, as far as the loader and the processor care. Pure.

pyelftools finds headers and segments; elf(5), and for `.eh_frame_hdr` the Linux Standard Base, "Exception Frames".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Final

MAGIC: Final = b"\x7fELF"
X86_64: Final = "EM_X86_64"
_HEADER_TABLE: Final = bytes.fromhex("011b033b")
"""Version 1, a relative pointer, a count, and a table of pairs that are relative to the header: what linkers write."""
_EXECUTABLE: Final = 1


@dataclass(frozen=True, slots=True)
class CodeSegment:
    """Instructions: where they are in the file and in memory."""

    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class ElfHeaders:
    """What a file says."""

    machine: str
    interpreter: str
    """Empty for libraries."""
    needed: tuple[str, ...]
    search: tuple[str, ...]
    """RPATH and RUNPATH, as they stand there."""
    code: tuple[CodeSegment, ...]
    functions: tuple[int, ...]
    """Addresses at which functions begin, sorted; empty where the file does not say."""


def read_elf(data: bytes) -> ElfHeaders | None:
    """Read a file; `None` for one that is no ELF file, or a broken one: the loader says that by itself."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    if not data.startswith(MAGIC):
        return None
    try:
        file = ELFFile(BytesIO(data))
        segments = [*file.iter_segments()]
        dynamic = next((one for one in segments if isinstance(one, DynamicSegment)), None)
        tags = [(tag.entry.d_tag, tag) for tag in dynamic.iter_tags()] if dynamic else []
        texts = [path for name, tag in tags if name in ("DT_RPATH", "DT_RUNPATH") for path in _path(tag).split(":")]
        interpreter = next((one for one in segments if isinstance(one, InterpSegment)), None)
        code = [one for one in segments if one["p_type"] == "PT_LOAD" and one["p_flags"] & _EXECUTABLE]
        frames = next((one for one in segments if one["p_type"] == "PT_GNU_EH_FRAME"), None)
        return ElfHeaders(
            str(file["e_machine"]),
            str(interpreter.get_interp_name()) if interpreter else "",
            tuple(str(getattr(tag, "needed", "")) for name, tag in tags if name == "DT_NEEDED"),
            tuple(texts),
            tuple(CodeSegment(one["p_offset"], one["p_vaddr"], one["p_filesz"]) for one in code),
            _functions(data, frames["p_offset"], frames["p_vaddr"], frames["p_filesz"]) if frames else (),
        )
    except (ELFError, struct.error, KeyError, ValueError, AttributeError, TypeError, UnicodeDecodeError):
        return None


def _path(tag: object) -> str:
    return str(getattr(tag, "rpath", "") or getattr(tag, "runpath", ""))


def has_choices(data: bytes) -> bool:
    """Whether functions of a file are chosen when it is loaded: relocations that ask one function for another."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(BytesIO(data))
        sections = [file.get_section_by_name(name) for name in (".rela.plt", ".rela.dyn")]
        tables = [section.data() for section in sections if section]
    except (ELFError, struct.error, KeyError, ValueError, AttributeError, TypeError, UnicodeDecodeError):
        return False
    entries = (entry for table in tables for entry in _RELOCATION.iter_unpack(table[: len(table) // 24 * 24]))
    return any(info & 0xFFFFFFFF == _IRELATIVE for _, info, _ in entries)


_RELOCATION: Final = struct.Struct("<QQq")
_IRELATIVE: Final = 37


def _functions(data: bytes, offset: int, address: int, size: int) -> tuple[int, ...]:
    """The addresses in the search table of exception frames."""
    header = data[offset : offset + size]
    if header[:4] != _HEADER_TABLE:
        return ()
    (count,) = struct.unpack_from("<I", header, 8)
    pairs = header[12 : 12 + 8 * count]
    return tuple(sorted(address + start for start, _ in struct.iter_unpack("<ii", pairs[: len(pairs) // 8 * 8])))
