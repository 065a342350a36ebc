"""The Dockerfile of containers, built by a real buildah, and its result run as image and as SIF file.

A stand-in lays the software out, so that no Spack and no network is needed; `test_spack_images.py` has the real one.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from job_creator.scripts.rendering import render
from tests.integration.apptainer import Apptainer, apptainer_for
from tests.integration.base_images import Buildah, buildah_in, debian_root, import_root, shared_folder
from tests.integration.container_project import (
    BUILDER,
    IMAGE,
    LABELS,
    LOCK,
    RUNTIME,
    SECRETS,
    Project,
    build_builder,
    project_in,
)

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("images")]

EPILOGUE = 'RUN echo "the epilogue ran" > /epilogue\nENV FROM_EPILOGUE=yes'


@dataclass(frozen=True)
class Built:
    """A container image, what its build printed, and an archive of it."""

    buildah: Buildah
    printed: str
    archive: Path

    def run(self, *command: str) -> str:
        """What a command prints that is run as container engines run it: by the entry point."""
        return self.buildah.run(IMAGE, *command, entry_point=True)

    def run_directly(self, *command: str) -> str:
        """The same without the entry point, as many CI systems run things."""
        return self.buildah.run(IMAGE, *command)

    def run_as(self, user: str, variables: Mapping[str, str], *command: str) -> str:
        """The same, as another user and with variables."""
        given = [option for item in variables.items() for option in ("--env", "=".join(item))]
        container = self.buildah("from", "--pull-never", IMAGE).strip()
        try:
            return self.buildah("run", "--user", user, *given, container, "--", *command)
        finally:
            self.buildah("rm", container)

    def files(self) -> dict[str, tarfile.TarInfo]:
        """Everything in the layers by path, the upper ones on top."""
        return {name: member for layer in self.layers() for name, member in layer.items()}

    def layers(self) -> Iterator[dict[str, tarfile.TarInfo]]:
        """What each layer holds."""
        with tarfile.open(self.archive) as archive:
            manifest = json.loads(_read(archive, "manifest.json"))
            for name in manifest[0]["Layers"]:
                with tarfile.open(fileobj=io.BytesIO(_read(archive, name))) as layer:
                    yield {member.name.removeprefix("./"): member for member in layer}


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    """Has a runtime image, and builder images with a stand-in for Spack."""
    buildah = buildah_in(tmp_path_factory.mktemp("buildah"))
    root = debian_root(shared_folder(tmp_path_factory))
    import_root(buildah, root, RUNTIME)
    context = tmp_path_factory.mktemp("stand-in")
    build_builder(buildah, context)
    build_builder(buildah, context, f"{BUILDER}-that-changes-locks", "RUN touch /opt/changes-the-lock")
    return buildah


@pytest.fixture
def project(tmp_path: Path, buildah: Buildah) -> Project:
    return project_in(tmp_path, buildah)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, buildah: Buildah) -> Built:
    """A container with everything that a definition may say."""
    project = project_in(tmp_path_factory.mktemp("project"), buildah)
    extra = project.folder / "spacktainer" / "files"
    (extra / "folder").mkdir(parents=True)
    for name, mode in (("tool", 0o755), ("folder/data with spaces", 0o640)):
        (extra / name).write_text(name)
        (extra / name).chmod(mode)
    files = [
        {"source": "spacktainer/files/tool", "target": "/usr/local/bin/my tool"},
        {"source": "spacktainer/files/folder", "target": "/opt/data"},
    ]
    project.write(files=files, epilogue=EPILOGUE)
    code, printed = project.build("--tag", IMAGE)
    assert code == 0, printed
    archive = project.folder / "image.tar"
    buildah("push", "--quiet", IMAGE, f"docker-archive:{archive}")
    return Built(buildah, printed, archive)


def test_the_entry_point_keeps_arguments_as_they_are(built: Built) -> None:
    arguments = ["a b", "", "$HOME", "'", '"; exit 1', "*", "-n", "\n"]
    assert built.run("app", *arguments) == f"app {len(arguments)} {' '.join(arguments)}\n"
    assert built.run("/bin/sh", "-c", "printf '%s\\n' 'a b' \"$1\"", "sh", "c  d") == "a b\nc  d\n"


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/env", "app", "x y"],
        ["sh", "-c", 'app "x y"'],
        ["bash", "-c", 'app "x y"'],
        ["env", "-i", "/bin/bash", "--login", "-c", 'app "x y"'],
        ["env", "-i", "/bin/sh", "-lc", 'app "x y"'],
        ["env", "-i", "BASH_ENV=/opt/spack-environment/environment.sh", "/bin/bash", "-c", 'app "x y"'],
    ],
    ids=["no-shell", "sh", "bash", "login-bash", "login-sh", "bash-env"],
)
def test_programs_are_found_with_and_without_the_entry_point(built: Built, command: Sequence[str]) -> None:
    assert built.run(*command) == "app 1 x y\n"
    assert built.run_directly(*command) == "app 1 x y\n"


def test_the_c_library_of_an_image_is_known(built: Built) -> None:
    version = built.run_directly("getconf", "GNU_LIBC_VERSION").split()[1]
    assert built.run_directly("sh", "-euc", f"{render('libc.sh.j2')}libc") == f"glibc@{version}\n"


def test_the_environment_is_there_once_and_leaves_what_is_set_alone(built: Built) -> None:
    once = built.run("sh", "-c", "unset PWD; export -p")
    assert re.search(r"PATH='/opt/view/bin:/usr/local/sbin:", once)
    assert "APP_HOME='/opt/software/app'" in once
    assert "SPACK_" not in once
    again = ". /opt/spack-environment/environment.sh; . /opt/spack-environment/environment.sh; unset PWD; export -p"
    assert built.run("sh", "-euc", again) == once
    own = "export APP_HOME=mine PATH=/mine:$PATH MANPATH=/mine LD_LIBRARY_PATH=/mine"
    show = ". /opt/spack-environment/environment.sh; echo $APP_HOME $PATH $MANPATH $LD_LIBRARY_PATH"
    home, path, manual, libraries = built.run_directly("sh", "-euc", f"{own}; {show}").split()
    assert home == "mine"
    assert path.startswith("/mine:/opt/view/bin:")
    assert manual == "/opt/view/man:/mine:"
    assert libraries == "/opt/view/lib:/mine"


def test_the_entry_point_tells_what_the_image_has_by_itself_from_what_was_chosen(built: Built) -> None:
    show = ("sh", "-c", "echo $APP_HOME; APP_HOME=/of/the/image bash -c 'echo $APP_HOME'")
    start = ("env", "APP_HOME=/of/the/image", "/opt/spack-environment/entrypoint.sh")
    assert built.run_directly(*start, *show) == "/opt/software/app\n/of/the/image\n"
    start = ("env", "APP_HOME=/somewhere/else", "/opt/spack-environment/entrypoint.sh")
    assert built.run_directly(*start, *show) == "/somewhere/else\n/of/the/image\n"


def test_bash_reads_the_environment_wherever_it_starts(built: Built) -> None:
    assert built.run_directly("bash", "-c", "echo $APP_HOME") == "/opt/software/app\n"
    assert built.run_directly("sh", "-c", "bash -c 'echo $APP_HOME'") == "/opt/software/app\n"


@pytest.mark.parametrize(
    ("home", "seen"),
    [("/", "/srv"), ("", "/srv"), ("/usr", "/usr"), ("/opt", "/opt")],
)
def test_who_has_no_home_gets_one_and_a_home_stays(built: Built, home: str, seen: str) -> None:
    """As engines start somebody whom the image does not know."""
    commands = (
        ["/opt/spack-environment/entrypoint.sh", "printenv", "HOME"],
        ["/bin/bash", "-c", "printenv HOME"],
        ["/bin/bash", "--login", "-c", "printenv HOME"],
    )
    for command in commands:
        assert built.run_as("12345:6789", {"HOME": home, "TMPDIR": "/srv"}, *command) == f"{seen}\n"
    assert built.run_as("0:0", {"HOME": "/"}, "/bin/bash", "-c", "printenv HOME") == "/\n"


def test_labels_and_what_starts_are_those_of_the_build(built: Built) -> None:
    config = built.buildah.config(IMAGE)["config"]
    labels = dict(config["Labels"])
    labels.pop("io.buildah.version")
    assert labels == LABELS
    assert config["Entrypoint"] == ["/opt/spack-environment/entrypoint.sh"]
    assert config["Cmd"] == ["/bin/bash"]
    assert {"BASH_ENV=/opt/spack-environment/environment.sh", "FROM_EPILOGUE=yes"} <= set(config["Env"])
    assert not [entry for entry in config["Env"] if "KEY" in entry]


def test_the_linker_knows_the_libraries_of_the_distribution(built: Built) -> None:
    before = built.buildah.run(RUNTIME, "ldconfig", "-p")
    assert "libc.so.6" in before
    assert built.run_directly("ldconfig", "-p") == before
    assert "libc.so.6" in built.run_directly("sh", "-c", "ldconfig && ldconfig -p")


def test_extra_files_and_the_epilogue_are_in_place(built: Built) -> None:
    tool, data = "'/usr/local/bin/my tool'", "'/opt/data/data with spaces'"
    command = f"stat -c '%a %n' {tool} {data}; cat {tool} {data} /epilogue"
    stats = "755 /usr/local/bin/my tool\n640 /opt/data/data with spaces\n"
    expected = f"{stats}toolfolder/data with spacesthe epilogue ran\n"
    assert built.run_directly("sh", "-c", command) == expected


def test_software_and_views_are_where_spack_put_them(built: Built) -> None:
    files = built.files()
    assert files["opt/view"].linkname == "/opt/._view/content"
    assert files["opt/._view/content/bin/app"].linkname == "/opt/software/app/bin/app"
    assert files["opt/software/library/bin/library"].mode & 0o777 == 0o755
    assert "opt/software/build-tool" not in files
    assert built.run_directly("readlink", "-f", "/opt/view/bin/app") == "/opt/software/app/bin/app\n"


def test_nothing_of_the_build_is_shipped(built: Built) -> None:
    files = built.files()
    below = "opt/spack-environment/"
    shipped = {name.removeprefix(below).rstrip("/") for name in files if name.startswith(below)} - {""}
    scripts = {"entrypoint.sh", "environment.sh", "smoke_tests.sh"}
    assert shipped == {"spack.yaml", "spack.lock", ".spack-env", *scripts}
    assert not [name for name in files if name.startswith(("opt/spacktainer", "rootfs", "run/secrets"))]
    assert {files[f"{below}{name}"].mode & 0o777 for name in ("spack.yaml", "spack.lock")} == {0o644}
    assert built.run_directly("cat", f"/{below}spack.lock") == json.dumps(LOCK)
    assert "the-bucket-of-the-cache" not in built.archive.read_bytes().decode(errors="replace")


def test_secrets_reach_the_installation_and_nothing_else(built: Built, buildah: Buildah) -> None:
    given = ":".join(SECRETS.values())
    seen = built.run_directly("cat", "/opt/software/app/share/credentials.sha256")
    assert seen == built.run_directly("sh", "-c", f"printf '%s' '{given}' | sha256sum")
    history = json.dumps(buildah.config(IMAGE))
    archive = built.archive.read_bytes()
    for secret in SECRETS.values():
        assert secret not in built.printed
        assert secret not in history
        assert json.dumps(secret)[1:-1] not in history
        assert secret.encode() not in archive
    assert b"the epilogue ran" in archive


def test_the_smoke_tests_are_in_the_image(built: Built) -> None:
    assert built.run("/bin/sh", "/.singularity.d/test") == "app 1 smoke test\n"


def test_a_missing_binary_ends_the_build(project: Project) -> None:
    project.lock({**LOCK, "concrete_specs": {"app": {}, "missing": {}}})
    project.write()
    code, printed = project.install()
    assert code != 0
    assert "No binary for missing found" in printed


def test_what_is_missing_is_compiled_where_the_definition_allows_it(project: Project) -> None:
    project.lock({**LOCK, "concrete_specs": {"app": {}, "missing": {}}})
    project.write(source_builds=True)
    code, printed = project.install()
    assert code == 0, printed
    assert "missing is compiled" in printed
    assert "app comes from the build cache" in printed


def test_signatures_are_checked_unless_the_cache_has_none(project: Project) -> None:
    for check in (True, False):
        project.write(check_signatures=check)
        code, printed = project.install()
        assert code == 0, printed
        assert ("--no-check-signature" in re.sub("STEP.*", "", printed)) is not check


def test_secrets_that_the_job_lacks_are_left_out(project: Project) -> None:
    project.write(secrets=[*SECRETS, "ANOTHER"])
    code, printed = project.install()
    assert code == 0, printed


def test_a_lockfile_that_spack_changes_ends_the_build(project: Project) -> None:
    project.write(builder=f"{BUILDER}-that-changes-locks")
    code, printed = project.install()
    assert code != 0
    assert "Spack changed the lockfile" in printed


def test_a_path_that_spack_did_not_make_ends_the_build(project: Project) -> None:
    project.write(paths=["/opt/software", "/opt/elsewhere"])
    code, printed = project.install()
    assert code != 0
    assert "/opt/elsewhere" in printed


def test_paths_may_lie_in_each_other_and_stand_in_any_order(project: Project) -> None:
    project.write(paths=["/opt/software/app", "/opt/view", "/opt/software"])
    code, printed = project.install()
    assert code == 0, printed
    found = project.buildah.run("localhost/install", "find", "/rootfs/opt/software", "-name", "app")
    assert sorted(found.split()) == ["/rootfs/opt/software/app", "/rootfs/opt/software/app/bin/app"]


@pytest.fixture(scope="module")
def sif(tmp_path_factory: pytest.TempPathFactory, built: Built) -> tuple[Apptainer, str]:
    apptainer = apptainer_for(tmp_path_factory.mktemp("apptainer"))
    built.archive.rename(apptainer.folder / "image.tar")
    (built.archive).symlink_to(apptainer.folder / "image.tar")
    # Packed, not compressed: that is where the time goes.
    apptainer("build", "--mksquashfs-args", "-noD -noF -noI -noX", "container.sif", "docker-archive:image.tar")
    return apptainer, "container.sif"


def test_a_sif_file_has_the_environment_and_the_labels(sif: tuple[Apptainer, str]) -> None:
    apptainer, file = sif
    assert apptainer("exec", file, "app", "x y") == "app 1 x y\n"
    assert apptainer("exec", file, "bash", "-c", 'app "x y"; echo $APP_HOME') == "app 1 x y\n/opt/software/app\n"
    assert apptainer("run", file, "/bin/sh", "-c", "echo 'a b'") == "a b\n"
    labels = json.loads(apptainer("inspect", "--json", file))["data"]["attributes"]["labels"]
    assert {name: labels[name] for name in LABELS} == LABELS


def test_a_sif_file_keeps_the_libraries_of_the_host(sif: tuple[Apptainer, str]) -> None:
    apptainer, file = sif
    libraries = apptainer("exec", file, "sh", "-c", "echo $LD_LIBRARY_PATH").strip().split(":")
    assert libraries == ["/opt/view/lib", "/.singularity.d/libs"]
    in_bash = apptainer("exec", file, "bash", "-c", "echo $LD_LIBRARY_PATH").strip().split(":")
    assert in_bash == libraries


def test_variables_that_the_user_names_win_in_a_sif_file(sif: tuple[Apptainer, str]) -> None:
    apptainer, file = sif
    assert apptainer("exec", "--env", "APP_HOME=mine", file, "bash", "-c", "echo $APP_HOME") == "mine\n"


def test_apptainer_test_runs_the_smoke_tests(sif: tuple[Apptainer, str]) -> None:
    apptainer, file = sif
    assert apptainer("test", file) == "app 1 smoke test\n"
