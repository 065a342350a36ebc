"""What is looked at before packages are given to any machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundation.errors import NotReadyError, RefusedError
from foundation.spack.program import SpackProgram
from foundation.spack.source_needs import PackageNeeds, Source, SourceKind, SourceNeeds
from job_creator.runs.machines import sources
from job_creator.runs.machines.probing import require_ready
from job_creator.runs.machines.sources import require_sources
from tests.commands import jc


def spack(folder: Path, code: int = 0) -> SpackProgram:
    program = folder / "spack"
    program.write_text(f"#!/bin/sh\necho \"No module named 'boto3'\" >&2\nexit {code}\n")
    program.chmod(0o755)
    return SpackProgram(str(program))


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    require_ready(spack(tmp_path), str(tmp_path / "mirror"), {"SSL_CERT_FILE": __file__})
    with pytest.raises(NotReadyError, match=r"SSL_CERT_FILE: /no/such\.pem cannot be read"):
        require_ready(spack(tmp_path), str(tmp_path / "mirror"), {"SSL_CERT_FILE": "/no/such.pem"})


def test_a_cache_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest folder that is there counts; root may write to all of them."""
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(RefusedError, match=rf"{tmp_path}: may not be written to"):
        require_ready(spack(tmp_path), str(tmp_path / "no" / "mirror"), {})


def test_a_spack_that_cannot_read_buckets_is_told(tmp_path: Path) -> None:
    require_ready(spack(tmp_path), "s3://bucket/cache", {})
    with pytest.raises(NotReadyError, match="cannot read buckets; install boto3"):
        require_ready(spack(tmp_path, code=1), "s3://bucket/cache", {})


def needs_of(*names: str) -> SourceNeeds:
    def package(name: str) -> PackageNeeds:
        source = Source(SourceKind.ARCHIVE, (f"https://example.org/{name}",), "0" * 64, f"_source-cache/{name}.tar.gz")
        return PackageNeeds(name, name, name, "1.0", "builtin", (source,))

    return SourceNeeds({name: package(name) for name in names})


def test_sources_that_builds_would_not_find_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those of what is to be built count."""
    monkeypatch.setattr(sources, "ask", lambda *told: needs_of("a", "b", "c"))
    mirror = tmp_path / "mirror"
    (mirror / "_source-cache").mkdir(parents=True)
    (mirror / "_source-cache" / "a.tar.gz").touch()
    require_sources(spack(tmp_path), [], {"a"}, str(mirror), {}, tmp_path)
    with pytest.raises(RefusedError, match=r"1 source is missing in .* \(archive of b@1\.0\); run 'jc mirror create'"):
        require_sources(spack(tmp_path), [], {"a", "b"}, str(mirror), {}, tmp_path)
    with pytest.raises(RefusedError, match="2 sources are missing"):
        require_sources(spack(tmp_path), [], {"b", "c"}, str(mirror), {}, tmp_path)
    with pytest.raises(RefusedError, match="3 sources are missing"):
        require_sources(spack(tmp_path), [], {"a", "b", "c"}, str(tmp_path / "none"), {}, tmp_path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--no-internet",), "say with --sources"),
        (("--joined",), "is for --engine ray"),
        (("--bind", "/data"), "name one with --container"),
        (("-N", "2"), "say --launch"),
        (("--submit-option=--x",), "is for a scheduler"),
        (("--with-dependents",), "name packages with it"),
    ],
)
def test_options_that_have_nothing_to_say_are_refused(words: tuple[str, ...], told: str) -> None:
    done = jc("build", "spack.lock", "--mirror", "x", *words)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())
