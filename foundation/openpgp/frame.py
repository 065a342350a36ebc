"""The frame that OpenPGP puts around signed text and around keys, down to the last byte.

A signature does not cover all of the file that it is in: the lines around it, blanks at the ends of lines, and bits
that the encoding does not use may change, and gpg is still content. What is checked here is the rest. That the
signature is good, only gpg can say.

Source: RFC 4880, sections 6 (armor) and 7 (text that stays readable).
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Final

SIGNED: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
PUBLIC: Final = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
# In two pieces, so that nothing that looks for keys takes this line for one.
_PRIVATE_WORDS: Final = b"-----BEGIN PGP " + b"PRIVATE KEY BLOCK-----"
_PRIVATE_ARMOR: Final = re.compile(rb"^" + _PRIVATE_WORDS, re.MULTILINE)
_MESSAGE: Final = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Z0-9]+(?:,[A-Z0-9]+)*\n)*\n"
    r"(?P<body>.*)\n(?P<armor>-----BEGIN PGP SIGNATURE-----\n.*)",
    re.DOTALL,
)
_ARMOR: Final = re.compile(
    r"-----BEGIN PGP (?P<what>[A-Z ]+)-----\n(?:(?:Version|Comment|MessageID|Hash|Charset): [^\n]*\n)*\n"
    r"(?P<data>(?:[A-Za-z0-9+/]+={0,2}\n)+)(?:=(?P<checksum>[A-Za-z0-9+/]{4})\n)?-----END PGP (?P=what)-----\n*",
)
_CRC24_START: Final = 0xB704CE
_CRC24_POLYNOMIAL: Final = 0x1864CFB


def message_fault(data: bytes) -> str:
    """What is wrong around signed text; empty if nothing is."""
    try:
        match = _MESSAGE.fullmatch(data.decode().replace("\r\n", "\n"))
    except ValueError:
        return "is not text"
    if not match or "\n-----BEGIN" in match["body"]:
        return "is not laid out like one signed text and nothing else"
    if any(line != line.rstrip() for line in match["body"].split("\n")):
        return "has blanks at the end of a line, which no signature covers"
    return armor_fault(match["armor"].encode(), "SIGNATURE")


def armor_fault(data: bytes, what: str) -> str:
    """What is wrong with the armor of a `SIGNATURE` or a `PUBLIC KEY BLOCK`; empty if nothing is."""
    match = _ARMOR.fullmatch(data.decode(errors="replace").replace("\r\n", "\n"))
    if not match or match["what"] != what:
        return f"is not laid out like a {what.lower()}"
    text = match["data"].replace("\n", "")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return f"has a {what.lower()} that cannot be decoded"
    if base64.b64encode(content).decode() != text:
        return f"has a {what.lower()} with bits that should not be there"
    if match["checksum"] and base64.b64decode(match["checksum"]) != _crc24(content).to_bytes(3, "big"):
        return f"has a {what.lower()} whose checksum does not fit"
    return ""


def dearmored(data: bytes) -> bytes:
    """The packets of all keys in a file, in armor or not. Raises `ValueError` for armor that cannot be decoded."""
    text = data.decode(errors="replace").replace("\r\n", "\n")
    found = list(_ARMOR.finditer(text if text.endswith("\n") else f"{text}\n"))
    if not found:
        return data
    return b"".join(base64.b64decode(match["data"].replace("\n", ""), validate=True) for match in found)


def has_private_key(data: bytes) -> bool:
    """Whether there is the private half of a key in it, in armor or not."""
    # The first packet of an exported private key: old or new header of packet 5, then version 3 to 6.
    binary = data[:1] in {b"\x94", b"\x95", b"\x96", b"\xc5"}
    lengths = {0x94: 2, 0x95: 3, 0x96: 5, 0xC5: 2 if data[1:2] < b"\xc0" else 3 if data[1:2] < b"\xe0" else 6}
    if binary and len(data) > 32 and data[lengths[data[0]]] in range(3, 7):
        return True
    # A plain search first: it takes a hundredth of the time, and is made for every file of a mirror.
    return _PRIVATE_WORDS in data and bool(_PRIVATE_ARMOR.search(data))


def _crc24(data: bytes) -> int:
    table, crc = _crc24_table(), _CRC24_START
    for byte in data:
        crc = table[(crc >> 16) ^ byte] ^ (crc << 8 & 0xFFFFFF)
    return crc


@lru_cache(maxsize=1)
def _crc24_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value << 16
        for _ in range(8):
            crc = crc << 1 ^ (_CRC24_POLYNOMIAL if crc & 0x800000 else 0)
        table.append(crc)
    return tuple(table)
