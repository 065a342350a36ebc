"""The Dockerfiles of the base images, built for real; the builder is in `test_spack_images.py`.

With `SPACKTAINERS_ONLINE` set only: distributions and PyPI have to be within reach.
"""

from __future__ import annotations

import hashlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.apptainer import ROOT_VARIABLE, apptainer_for
from tests.integration.base_images import Buildah, buildah_in, debian_root, import_root, shared_folder
from tests.integration.components import give_up
from tests.integration.container_project import IMAGE, RUNTIME, build_builder, project_in
from tests.integration.registry_server import Answer, Request, serve
from tests.samples import REPOSITORY

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not os.environ.get("SPACKTAINERS_ONLINE"), reason="SPACKTAINERS_ONLINE is not set"),
    pytest.mark.xdist_group("images"),
]

S3CMD = "2.4.0"
BASE = """\
FROM localhost/root
RUN echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/90-old-mirror
"""
"""Mirrors of unstable releases may lag behind."""
_NOT_NEEDED = ("dev", "proc", "run", "sys", "tmp", "var/cache")
NO_LISTS = 'test -z "$(ls -A /var/lib/apt/lists)"'


@dataclass(frozen=True)
class Releases:
    """What is published: the address of each file, and its checksum."""

    buildah: Buildah
    base: str
    urls: Mapping[str, str]
    sums: Mapping[str, str]

    def arguments(self, **changed: str) -> dict[str, str]:
        """The build arguments of the image."""
        return {
            "BASE_IMAGE": self.base,
            "CONTAINER_TOOL": "apptainer",
            "CONTAINER_TOOL_VERSION": "1",
            "CONTAINER_TOOL_SHA256": self.sums["apptainer.deb"],
            "CONTAINER_TOOL_URL": self.urls["apptainer.deb"],
            "S3CMD_VERSION": S3CMD,
            "S3CMD_SHA256": self.sums["s3cmd.tar.gz"],
            "S3CMD_URL": self.urls["s3cmd.tar.gz"],
            **changed,
        }

    def build(self, **changed: str) -> tuple[int, str]:
        """Builds the image. Returns the exit code and what was printed."""
        given = [part for item in self.arguments(**changed).items() for part in ("--build-arg", "=".join(item))]
        folder = REPOSITORY / "singularitah"
        return self.buildah.attempt("build", "--pull-never", *given, "--tag", "localhost/singularitah", folder)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    return buildah_in(tmp_path_factory.mktemp("buildah"))


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, buildah: Buildah) -> Iterator[Releases]:
    """Debian's package of Apptainer and the sources of s3cmd, on a server of this machine."""
    root = os.environ.get(ROOT_VARIABLE) or give_up(f"{ROOT_VARIABLE} names no root folder with Apptainer")
    import_root(buildah, Path(root), "localhost/root", _NOT_NEEDED)
    folder = tmp_path_factory.mktemp("releases")
    (folder / "Dockerfile").write_text(BASE)
    buildah("build", "--quiet", "--pull-never", "--tag", "localhost/sid", folder)
    (folder / "Dockerfile").unlink()
    container = buildah("from", "--pull-never", "localhost/sid").strip()
    get = "apt-get -qq update && apt-get -qq download apptainer && mv apptainer_*.deb apptainer.deb"
    buildah("run", "--volume", f"{folder}:/job", "--workingdir", "/job", container, "--", "sh", "-c", get)
    buildah("rm", container)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "s3cmd", f"s3cmd=={S3CMD}"]
    subprocess.run(pip, cwd=folder, check=True, capture_output=True)
    (folder / f"s3cmd-{S3CMD}.tar.gz").rename(folder / "s3cmd.tar.gz")
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}

    def answer(request: Request) -> Answer:
        body = contents.get(request.path.removeprefix("/"))
        return Answer(404) if body is None else Answer(body=body)

    with serve(answer) as server:
        urls = {name: f"http://{server.host}/{name}" for name in contents}
        sums = {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()}
        yield Releases(buildah, "localhost/sid", urls, sums)


def test_the_runtime_image_has_the_libraries_and_no_compiler(
    tmp_path_factory: pytest.TempPathFactory, buildah: Buildah
) -> None:
    import_root(buildah, debian_root(shared_folder(tmp_path_factory)), "localhost/base", _NOT_NEEDED)
    arguments = ("--pull-never", "--build-arg", "BASE_IMAGE=localhost/base", "--tag", "localhost/runtime")
    buildah("build", *arguments, REPOSITORY / "runtime")
    libraries = buildah.run("localhost/runtime", "ldconfig", "-p")
    for name in ("libgfortran.so.5", "libgomp.so.1", "libstdc++.so.6", "libatomic.so.1"):
        assert name in libraries
    assert buildah.run("localhost/runtime", "sh", "-c", f"command -v gcc make; {NO_LISTS}") == ""
    show = "TZ=Europe/Zurich date -d @0 +%H; LC_ALL=en_US.UTF-8 locale charmap; locale charmap; echo $LANG"
    assert buildah.run("localhost/runtime", "bash", "-c", show).split() == ["01", "UTF-8", "UTF-8", "C.UTF-8"]


ENTRY = "import os, pwd, grp; print(*pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid()).gr_name, sep=':')"


@pytest.fixture(scope="module")
def anyone(tmp_path_factory: pytest.TempPathFactory, buildah: Buildah) -> Buildah:
    """Has a runtime image with Python, and a container on it, `localhost/container`."""
    import_root(buildah, debian_root(shared_folder(tmp_path_factory)), "localhost/base", _NOT_NEEDED)
    arguments = ("--pull-never", "--build-arg", "BASE_IMAGE=localhost/base", "--tag", RUNTIME)
    buildah("build", *arguments, REPOSITORY / "runtime")
    build_builder(buildah, tmp_path_factory.mktemp("stand-in"))
    project = project_in(tmp_path_factory.mktemp("project"), buildah)
    project.write()
    code, printed = project.build("--tag", IMAGE)
    assert code == 0, printed
    return buildah


def run_as(buildah: Buildah, user: str, *command: str, home: str = "/") -> str:
    """As container engines run things for a user whom the image does not know."""
    container = buildah("from", "--pull-never", IMAGE).strip()
    try:
        return buildah("run", "--user", user, "--env", f"HOME={home}", container, "--", *command)
    finally:
        buildah("rm", container)


def test_every_user_has_an_entry_and_a_home(anyone: Buildah) -> None:
    start = ("/opt/spack-environment/entrypoint.sh",)
    entry = run_as(anyone, "12345:6789", *start, "python3", "-c", ENTRY)
    assert entry == "user12345:x:12345:6789::/home/user:/bin/bash:group6789\n"
    words = "import pwd, os; print(pwd.getpwnam('user12345').pw_uid, os.path.expanduser('~user12345'))"
    assert run_as(anyone, "12345:6789", *start, "python3", "-c", words, home="/data") == "12345 /data\n"
    use = "id -un; id -gn; cd ~ && touch mine && stat -c %U mine && echo $HOME"
    assert run_as(anyone, "12345:6789", *start, "sh", "-c", use).split() == [
        "user12345",
        "group6789",
        "user12345",
        "/home/user",
    ]
    # Whom files know is who they say; of others nothing is made up.
    assert run_as(anyone, "0:0", *start, "id", "-un", home="/root") == "root\n"
    assert run_as(anyone, "1:1", *start, "id", "-un") == "daemon\n"
    other = "import pwd\ntry: print(pwd.getpwuid(54321))\nexcept KeyError: print('nobody')"
    assert run_as(anyone, "12345:6789", *start, "python3", "-c", other) == "nobody\n"


def test_an_interactive_bash_has_the_environment_of_the_entry_point(anyone: Buildah) -> None:
    show = "unset PWD OLDPWD SHLVL _ PS1; env | sort"
    as_started = run_as(anyone, "12345:6789", "/opt/spack-environment/entrypoint.sh", "bash", "--norc", "-c", show)
    interactive = run_as(anyone, "12345:6789", "bash", "-i", "-c", show)
    login = run_as(anyone, "12345:6789", "bash", "--login", "-c", show)
    wanted = {line for line in as_started.splitlines() if not line.startswith("PATH=")}
    assert "APP_HOME=/opt/software/app" in wanted
    assert "HOME=/home/user" in wanted
    assert wanted <= set(interactive.splitlines())
    assert wanted <= set(login.splitlines())
    assert run_as(anyone, "12345:6789", "bash", "-i", "-c", 'app "x y"').endswith("app 1 x y\n")


@pytest.mark.parametrize("start", [("/opt/spack-environment/entrypoint.sh", "bash"), ("bash", "-i")])
def test_keys_work_in_an_interactive_bash(anyone: Buildah, start: tuple[str, ...]) -> None:
    """On a terminal, as a user whom the image does not know: letters of two bytes are one key, and arrows are known."""
    container = anyone("from", "--pull-never", IMAGE).strip()
    options = ("run", "--terminal", "--user", "12345:6789", "--env", "HOME=/", "--env", "TERM=xterm")
    ours, theirs = pty.openpty()
    argv = [anyone.program, *options, container, "--", *start]
    child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(anyone.environment))
    os.close(theirs)
    try:
        # Until it waits for keys, nothing is typed. What is typed is shown, so an answer has what was not typed in it.
        printed = _until(ours, b"$ ")
        for keys, answer in (
            ("app 'gr\u00f6\u00e4\x7f\u00dfe'\r", "app 1 gr\u00f6\u00dfe\r\n"),
            ("\x1b[A\r", "app 1 gr\u00f6\u00dfe\r\n"),
            ("echo $((40+2)):$APP_HOME:$HOME:$(id -un)\r", "42:/opt/software/app:/home/user:user12345\r\n"),
        ):
            os.write(ours, keys.encode())
            printed += _until(ours, answer.encode())
        os.write(ours, b"exit 3\r")
        assert child.wait(60) == 3, printed
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        anyone("rm", container)


def _until(terminal: int, wanted: bytes) -> bytes:
    """What a terminal shows until it has shown this."""
    shown, end = b"", time.monotonic() + 120
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, f"waited for {wanted!r}, and saw {shown!r}"
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            pytest.fail(f"ended before {wanted!r}: {shown!r}")
    return shown


def test_apptainer_writes_the_entry_itself_and_keeps_the_home(
    anyone: Buildah, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sif")
    apptainer = apptainer_for(folder)
    anyone("push", "--quiet", IMAGE, f"docker-archive:{folder}/image.tar")
    apptainer("build", "app.sif", f"docker-archive:{folder}/image.tar")
    for contained in ((), ("--containall",)):
        seen = apptainer("exec", "--no-privs", *contained, "app.sif", "python3", "-c", ENTRY).strip()
        assert seen.startswith("root:x:0:0:")
    assert apptainer("exec", "--no-privs", "app.sif", "locale", "charmap", LANG="en_US.UTF-8") == "UTF-8\n"
    assert apptainer("exec", "--no-privs", "--cleanenv", "app.sif", "locale", "charmap") == "UTF-8\n"


def test_the_image_that_publishes_has_its_tools_and_nothing_that_got_them(releases: Releases) -> None:
    code, printed = releases.build()
    assert code == 0, printed
    script = "singularity --version; s3cmd --version; mksquashfs -version | head -n 1"
    tools = releases.buildah.run("localhost/singularitah", "sh", "-ec", script)
    assert "apptainer version 1." in tools
    assert f"s3cmd version {S3CMD}" in tools
    assert "mksquashfs version" in tools
    venv = "python3 -m venv /tmp/venv && /tmp/venv/bin/pip --version > /dev/null && echo works"
    assert releases.buildah.run("localhost/singularitah", "sh", "-c", venv) == "works\n"
    absent = f"command -v curl gcc go make; ls -d /download /download.sh 2> /dev/null; {NO_LISTS}"
    assert releases.buildah.run("localhost/singularitah", "sh", "-c", absent) == ""


@pytest.mark.parametrize("checksum", ["CONTAINER_TOOL_SHA256", "S3CMD_SHA256"])
def test_what_is_not_what_the_site_says_is_not_installed(releases: Releases, checksum: str) -> None:
    code, printed = releases.build(**{checksum: "0" * 64})
    assert code != 0
    assert "FAILED" in printed


def test_another_tool_is_refused(releases: Releases) -> None:
    code, printed = releases.build(CONTAINER_TOOL="docker")
    assert code != 0
    assert "neither apptainer nor singularity-ce" in printed
