"""What the image that publishes gets from elsewhere: what the site says, with that checksum, or nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.components import require
from tests.integration.registry_server import Answer, LoopbackServer, Request, serve
from tests.samples import REPOSITORY

pytestmark = pytest.mark.usefixtures("components")

PLACE = "20260301T000000Z/pool/main/t/tool/tool_1_amd64.deb"
PACKAGE, SOURCES = b"the package", b"the sources"
FILES = {f"/archive/debian/{PLACE}": PACKAGE, "/tool.deb": PACKAGE, "/s3cmd.tar.gz": SOURCES}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """An archive, and what it does where it does not know: it sends a page."""

    def answer(request: Request) -> Answer:
        if request.path.startswith("/round"):
            return Answer(302, headers={"Location": f"{request.path}/round"})
        if request.path == "/page":
            return Answer(body=b"<html>please log in</html>")
        body = FILES.get(request.path)
        return Answer(404) if body is None else Answer(body=body)

    with serve(answer) as running:
        yield running


@dataclass(frozen=True)
class Download:
    """Runs the script in a folder, with a list of package sources in another."""

    folder: Path
    server: LoopbackServer

    def sources(self, text: str) -> None:
        """What the base image says of its packages."""
        place = self.folder / "apt" / "sources.list.d"
        place.mkdir(parents=True, exist_ok=True)
        (place / "distribution.sources").write_text(text)

    def __call__(self, **variables: str) -> tuple[int, str]:
        """The exit code, and what was printed."""
        require("curl")
        target = self.folder / "download"
        target.mkdir(exist_ok=True)
        given = {
            "APT_FOLDER": str(self.folder / "apt"),
            "CONTAINER_TOOL": "apptainer",
            "CONTAINER_TOOL_VERSION": "1",
            "CONTAINER_TOOL_SHA256": sha256(PACKAGE),
            "S3CMD_VERSION": "2",
            "S3CMD_URL": f"http://{self.server.host}/s3cmd.tar.gz",
            "S3CMD_SHA256": sha256(SOURCES),
            **variables,
        }
        done = subprocess.run(
            ["bash", str(REPOSITORY / "singularitah" / "download.sh")],
            cwd=target,
            env={"PATH": os.environ["PATH"], **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout


@pytest.fixture
def download(tmp_path: Path, server: LoopbackServer) -> Download:
    return Download(tmp_path, server)


def test_the_archive_is_the_one_that_the_base_image_names(download: Download) -> None:
    download.sources(
        f"Types: deb\n# http://{download.server.host}/archive/debian/20250520T000000Z\n"
        "URIs: http://mirror.example.org/debian\n\n"
        f"# http://{download.server.host}/archive/debian-security/20250520T000000Z\n"
    )
    code, printed = download(CONTAINER_TOOL_SNAPSHOT=PLACE)
    assert code == 0, printed
    assert (download.folder / "download" / "container-tool.deb").read_bytes() == PACKAGE
    assert (download.folder / "download" / "s3cmd.tar.gz").read_bytes() == SOURCES


@pytest.mark.parametrize("said", ["", "deb http://mirror.example.org/debian stable main\n", "# archive/debian\n"])
def test_a_base_image_that_names_no_archive_is_said(download: Download, said: str) -> None:
    download.sources(said)
    code, printed = download(CONTAINER_TOOL_SNAPSHOT=PLACE)
    assert code == 2
    assert "the base image names no archive of snapshots" in printed
    assert not list((download.folder / "download").iterdir())


def test_where_no_archive_is_needed_none_has_to_be_named(download: Download) -> None:
    code, printed = download(CONTAINER_TOOL_URL=f"http://{download.server.host}/tool.deb")
    assert code == 0, printed


@pytest.mark.parametrize("path", ["page", "round", "not-there"])
@pytest.mark.parametrize("which", ["CONTAINER_TOOL", "S3CMD"])
def test_another_answer_than_what_was_pinned_ends_it(download: Download, which: str, path: str) -> None:
    urls = {f"{one}_URL": f"http://{download.server.host}/{name}" for one, name in (("CONTAINER_TOOL", "tool.deb"),)}
    code, printed = download(**{**urls, f"{which}_URL": f"http://{download.server.host}/{path}"})
    assert code != 0
    assert any(word in printed for word in ("FAILED", "redirects", "404"))


def test_a_wrong_checksum_ends_it(download: Download) -> None:
    download.sources(f"# http://{download.server.host}/archive/debian/20250520T000000Z\n")
    code, printed = download(CONTAINER_TOOL_SNAPSHOT=PLACE, CONTAINER_TOOL_SHA256="0" * 64)
    assert code != 0
    assert "container-tool.deb: FAILED" in printed
