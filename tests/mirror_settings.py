"""Sites that have a mirror."""

from __future__ import annotations

from tests.samples import SITE

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


SOURCES = (
    "{bucket: mirrors, prefix: sources, access_key_id_variable: MIRROR_ID, secret_access_key_variable: MIRROR_KEY}"
)


BINARIES = f"{{url: https://mirrors.example.org/binaries, fingerprints: ['{FINGERPRINT}'], padded_length: 200}}"


def with_mirrors(sources: str = SOURCES, binaries: str = BINARIES, text: str = SITE) -> str:
    """The sample site with mirrors for both architectures."""
    lines = [
        f"  {name}: {value}\n" for name, value in (("source_mirror", sources), ("binary_mirror", binaries)) if value
    ]
    return text.replace("  compiler: gcc@13\n", "  compiler: gcc@13\n" + "".join(lines))
