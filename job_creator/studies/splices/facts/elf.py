"""Reads what an ELF file says to the loader, with pyelftools, which is part of the extra `splices`.

Symbol tables are decoded here, from the bytes that pyelftools finds: a library may have a hundred thousand symbols.

Sources: System V ABI, "Symbol Table" and "Dynamic Section"; LSB Core, "Symbol Versioning".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any, Final

from job_creator.studies.splices.facts.values import ElfFacts, NeededSymbol, NeededVersion, OfferedSymbol, SymbolKind

MAGIC: Final = b"\x7fELF"
_GLOBAL: Final = {1, 2, 10}
"""Bindings of symbols that other files see: global, weak, and unique in the process."""
_WEAK: Final = 2
_VISIBLE: Final = {0, 3}
"""Default and protected."""
_HIDDEN_VERSION: Final = 0x8000
_WEAK_VERSION: Final = 2
_BASE_VERSION: Final = 1
_LEAST_VERSION: Final = 16
"""Bytes that an entry in a table of versions takes at least."""
_KINDS: Final = {
    0: SymbolKind.OTHER,
    1: SymbolKind.DATA,
    2: SymbolKind.FUNCTION,
    5: SymbolKind.DATA,
    6: SymbolKind.THREAD_LOCAL,
    10: SymbolKind.FUNCTION,
}


def read_elf(stream: IO[bytes]) -> ElfFacts:
    """The facts of a file. What cannot be read is no exception, but a fact as well: its damage."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        return _facts(ELFFile(stream))
    # A file from a cache may hold anything, and pyelftools takes much of it at its word.
    except (
        ELFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        struct.error,
        OverflowError,
    ) as error:
        return ElfFacts(damage=f"cannot be read as ELF: {error or type(error).__name__}")


def _facts(elf: Any) -> ElfFacts:
    order = "little" if elf.little_endian else "big"
    sections = {section.name: section for section in elf.iter_sections()}
    tables = {section["sh_type"]: section for section in sections.values()}
    tags = _dynamic_tags(elf)
    table = tables.get("SHT_DYNSYM")
    names = _version_names(tables)
    symbols = [*_symbols(elf, table, tables.get("SHT_GNU_versym"))] if table is not None else []
    return ElfFacts(
        machine=f"{elf['e_machine']}/{elf.elfclass}/{order}",
        soname="".join(tags.get("DT_SONAME", [])[:1]),
        needed=tuple(tags.get("DT_NEEDED", ())),
        rpath=_paths(tags.get("DT_RPATH", ())),
        runpath=_paths(tags.get("DT_RUNPATH", ())),
        is_program=any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments()),
        defined=tuple(_definitions(symbols, names)),
        undefined=tuple(_references(symbols, names, tables)),
        versions=tuple(_defined_versions(tables)),
        has_version_table="SHT_GNU_versym" in tables,
        needed_versions=tuple(_needed_versions(tables)),
        copied=tuple(_copied(elf, sections, table)),
        has_debug_information=".debug_info" in sections or ".zdebug_info" in sections,
    )


def _dynamic_tags(elf: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for segment in elf.iter_segments():
        if segment["p_type"] != "PT_DYNAMIC":
            continue
        for tag in segment.iter_tags():
            attribute = {
                "DT_NEEDED": "needed",
                "DT_SONAME": "soname",
                "DT_RPATH": "rpath",
                "DT_RUNPATH": "runpath",
            }.get(str(tag.entry.d_tag))
            if attribute:
                found.setdefault(tag.entry.d_tag, []).append(getattr(tag, attribute))
    return found


def _paths(values: Any) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(":") if part)


Symbol = tuple[str, int, int, bool, int, int]
"""Name, binding, type, whether it is defined and visible, size, and index of its version with its highest bit."""


def _symbols(elf: Any, table: Any, versions: Any) -> Iterator[Symbol]:
    order = "<" if elf.little_endian else ">"
    wide = elf.elfclass == 64
    entry = struct.Struct(f"{order}IBBHQQ" if wide else f"{order}IIIBBH")
    data, strings = table.data(), elf.get_section(table["sh_link"]).data()
    count = len(data) // entry.size
    raw = versions.data() if versions is not None else b""
    indexes = struct.unpack(f"{order}{len(raw) // 2}H", raw[: len(raw) // 2 * 2]) if raw else (1,) * count
    for number, fields in enumerate(entry.iter_unpack(data[: count * entry.size])):
        name, info, other, section, _, size = fields if wide else (fields[0], *fields[3:6], fields[1], fields[2])
        if info >> 4 not in _GLOBAL or number >= len(indexes):
            continue
        end = strings.find(b"\0", name)
        text = strings[name:end].decode("utf-8", "replace")
        if text:
            is_exported = section != 0 and other & 3 in _VISIBLE
            if is_exported or section == 0:
                yield text, info >> 4, info & 15, is_exported, size, indexes[number]


def _definitions(symbols: list[Symbol], names: Mapping[int, str]) -> Iterator[OfferedSymbol]:
    for name, _, kind, is_exported, size, version in symbols:
        index = version & ~_HIDDEN_VERSION
        if not is_exported or index == 0:
            continue
        # What names a version is there as well, as a symbol without a place.
        text = names.get(index, "")
        if name == text and size == 0:
            continue
        yield OfferedSymbol(name, text, _KINDS.get(kind, SymbolKind.OTHER), size, not version & _HIDDEN_VERSION)


def _references(symbols: list[Symbol], names: Mapping[int, str], tables: Mapping[str, Any]) -> Iterator[NeededSymbol]:
    libraries = {
        need["vna_other"] & ~_HIDDEN_VERSION: library.name
        for library, needs in _entries(tables, "SHT_GNU_verneed")
        for need in needs
    }
    for name, binding, kind, is_exported, _, version in symbols:
        if not is_exported:
            index = version & ~_HIDDEN_VERSION
            what = _KINDS.get(kind, SymbolKind.OTHER)
            yield NeededSymbol(name, names.get(index, ""), what, binding == _WEAK, libraries.get(index, ""))


def _version_names(tables: Mapping[str, Any]) -> dict[int, str]:
    """The names of versions by their index, those that a file defines and those that it needs."""
    found = {
        definition["vd_ndx"]: next(iter(names)).name
        for definition, names in _entries(tables, "SHT_GNU_verdef")
        if not definition["vd_flags"] & _BASE_VERSION
    }
    for _, needs in _entries(tables, "SHT_GNU_verneed"):
        found |= {need["vna_other"] & ~_HIDDEN_VERSION: need.name for need in needs}
    return found


def _defined_versions(tables: Mapping[str, Any]) -> Iterator[str]:
    for definition, names in _entries(tables, "SHT_GNU_verdef"):
        if not definition["vd_flags"] & _BASE_VERSION:
            yield next(iter(names)).name


def _needed_versions(tables: Mapping[str, Any]) -> Iterator[NeededVersion]:
    for library, needs in _entries(tables, "SHT_GNU_verneed"):
        for need in needs:
            yield NeededVersion(library.name, need.name, bool(need["vna_flags"] & _WEAK_VERSION))


def _entries(tables: Mapping[str, Any], kind: str) -> Iterator[tuple[Any, Any]]:
    """The entries of a table of versions, no more than it has room for, whatever it says."""
    if kind not in tables:
        return iter(())
    return islice(tables[kind].iter_versions(), tables[kind]["sh_size"] // _LEAST_VERSION)


def _copied(elf: Any, sections: Mapping[str, Any], table: Any) -> Iterator[str]:
    """Names of copy relocations, whose number differs between machines."""
    from elftools.elf.enums import ENUM_RELOC_TYPE_AARCH64, ENUM_RELOC_TYPE_i386, ENUM_RELOC_TYPE_x64

    kinds: Mapping[str, int] = {
        "EM_X86_64": ENUM_RELOC_TYPE_x64["R_X86_64_COPY"],
        "EM_386": ENUM_RELOC_TYPE_i386["R_386_COPY"],
        "EM_AARCH64": ENUM_RELOC_TYPE_AARCH64["R_AARCH64_COPY"],
        "EM_PPC64": 19,
    }
    wanted = kinds.get(elf["e_machine"])
    dynamic = next((one for name, one in sections.items() if name in (".rela.dyn", ".rel.dyn")), None)
    if wanted is None or dynamic is None or table is None:
        return
    for relocation in _of_kind(elf, dynamic, wanted):
        yield table.get_symbol(relocation).name


def _of_kind(elf: Any, section: Any, wanted: int) -> Iterator[int]:
    """The numbers of the symbols of all relocations of a kind."""
    order, wide = "<" if elf.little_endian else ">", elf.elfclass == 64
    word = "Q" if wide else "I"
    entry = struct.Struct(order + word * (3 if section["sh_type"] == "SHT_RELA" else 2))
    data = section.data()
    for fields in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
        info = fields[1]
        kind, symbol = (info & 0xFFFFFFFF, info >> 32) if wide else (info & 0xFF, info >> 8)
        if kind == wanted:
            yield symbol
