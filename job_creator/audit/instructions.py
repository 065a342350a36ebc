"""Instructions that a target does not have, found in machine code of x86-64. Pure.

Decoding all of it would take minutes for each GiB. So bytes that can begin such an instruction are searched for first:
0x62 (EVEX: AVX-512 and later), with the bits that are fixed behind it, and for targets without AVX 0xC4 and 0xC5 (VEX).
What is found is decoded by iced, and counts if decoding from the beginning of its function arrives there: the same
bytes are often part of something else. Where functions begin, the exception frames say.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, 2.3 (VEX) and 2.7 (EVEX).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from job_creator.audit.elf_headers import CodeSegment, ElfHeaders

_ENOUGH: Final = 3
"""Instructions that show it."""
_MOST: Final = 200_000
"""Candidates of one file that are looked at; what is left is told."""
_LONGEST: Final = 1 << 16
"""Bytes of a function that are decoded to arrive at a candidate."""
_CPUID: Final = re.compile(rb"\x0f\xa2")


def _one_of(wanted: Iterable[int]) -> bytes:
    """A set of a regular expression."""
    return b"[" + b"".join(b"\\x%02x" % one for one in wanted) + b"]"


_EVEX: Final = re.compile(
    # Of the first byte bit 3 is zero, and the map is one of those that there are; of the second one bit 2 is one.
    b"\\x62"
    + _one_of(one for one in range(256) if not one & 8 and one & 7 in (1, 2, 3, 5, 6))
    + _one_of(one for one in range(256) if one & 4)
)
_VEX: Final = re.compile(b"\\xc5|\\xc4" + _one_of(one for one in range(256) if one & 31 in (1, 2, 3)))


@dataclass(frozen=True, slots=True)
class AboveTarget:
    """What was found in one file."""

    features: tuple[str, ...]
    """What the processor needs and the target lacks, as iced calls it: `AVX512F`."""
    addresses: tuple[int, ...]
    asks_processor: bool
    """Whether it has the instruction that asks what the processor can do."""
    is_whole: bool
    """Whether all candidates were looked at."""


def above_target(data: bytes, headers: ElfHeaders, allowed: frozenset[str]) -> AboveTarget:
    """Instructions of a file that need more than the features that are allowed (in lower case, without underscores)."""
    features: set[str] = set()
    addresses: list[int] = []
    left = _MOST
    for segment in headers.code:
        code = data[segment.offset : segment.offset + segment.size]
        for pattern in (_EVEX,) if "avx" in allowed else (_EVEX, _VEX):
            for place in (match.start() for match in pattern.finditer(code)):
                left -= 1
                if left < 0 or len(addresses) >= _ENOUGH:
                    break
                needs = _needs(code, place) - allowed
                if needs and _arrives(code, segment, headers, place):
                    features |= needs
                    addresses.append(segment.address + place)
    asks = bool(addresses) and any(_asks(data, segment, headers) for segment in headers.code)
    return AboveTarget(tuple(sorted(features)), tuple(addresses), asks, left >= 0)


def _asks(data: bytes, segment: CodeSegment, headers: ElfHeaders) -> bool:
    code = data[segment.offset : segment.offset + segment.size]
    return any(_arrives(code, segment, headers, match.start()) for match in _CPUID.finditer(code))


def _needs(code: bytes, place: int) -> frozenset[str]:
    """What the instruction at a place needs, if there is one."""
    from iced_x86 import Decoder

    instruction = Decoder(64, code[place : place + 15]).decode()
    return _features(instruction.code)


@cache
def _names() -> dict[int, str]:
    from iced_x86 import CpuidFeature

    numbers = ((name, value) for name, value in vars(CpuidFeature).items() if isinstance(value, int))
    return {value: name.lower().replace("_", "") for name, value in numbers if name.isupper()}


_FAMILIES: Final = ("avx", "amx", "vaes", "vpclmul", "fma", "f16c", "xop", "gfni")


@cache
def _features(code: Any) -> frozenset[str]:
    """The features of one kind of instruction, of the families that targets differ in."""
    from iced_x86 import Instruction

    instruction = Instruction()
    instruction.code = code
    names = (_names().get(one, "") for one in instruction.cpuid_features())
    return frozenset(name for name in names if name.startswith(_FAMILIES))


def _arrives(code: bytes, segment: CodeSegment, headers: ElfHeaders, place: int) -> bool:
    """Whether decoding from the beginning of a function comes to a place."""
    from iced_x86 import Decoder, Instruction

    index = bisect_right(headers.functions, segment.address + place) - 1
    start = headers.functions[index] - segment.address if index >= 0 else -1
    if not 0 <= start <= place or place - start > _LONGEST:
        return False
    decoder, instruction = Decoder(64, code[start : place + 15]), Instruction()
    target = place - start
    while decoder.position < target:
        decoder.decode_out(instruction)
        if not instruction.code:
            return False
    return bool(decoder.position == target)


def undecided(headers: ElfHeaders) -> Iterator[str]:
    """Why nothing can be said of a file's instructions."""
    if not find_spec("iced_x86"):
        yield "the library that knows them, iced-x86, is not installed here"
    elif headers.machine != "EM_X86_64":
        yield f"instructions of {headers.machine.removeprefix('EM_')} are not known here"
    elif headers.code and not headers.functions:
        yield "it does not say where its functions begin"
