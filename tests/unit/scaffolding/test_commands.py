"""`jc init` and `jc new`, from empty folders, beside what is there, and with what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from foundation.yaml_io import load
from job_creator.__main__ import main

A_SITE = ("init", "--yes", "--arch", "amd64", "--runner-tag", "docker", "--cache-bucket", "our-cache")


def jc(root: Path, *arguments: str, typed: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["-C", str(root), *arguments], input=typed)
    assert done.exit_code != 1 or not done.exception, done.output
    return done.exit_code, done.output


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(name="site")
def site_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "My Site"
    folder.mkdir()
    assert jc(folder, *A_SITE)[0] == 0
    return folder


def specs(root: Path, name: str, architecture: str = "amd64") -> list[str]:
    path = root / "container_definitions" / architecture / f"{name}.yaml"
    found: list[str] = load(path.read_bytes(), str(path))["spack"]["specs"]
    return found


def test_an_empty_folder_becomes_a_site_with_a_pipeline(site: Path) -> None:
    assert jc(site, "check")[0] == 0
    assert jc(site, "render-ci", "--check")[0] == 0
    assert jc(site, "create-jobs", "--offline", "-o", str(site / "build" / "generated_pipeline.yaml"))[0] == 0
    assert b"unit tests" not in (site / ".gitlab-ci.yml").read_bytes()


def test_a_second_time_changes_nothing(site: Path) -> None:
    before = files(site)
    assert jc(site, *A_SITE)[0] == 0
    assert files(site) == before


def test_other_answers_do_not_overwrite_a_site(site: Path) -> None:
    before = files(site)
    code, output = jc(site, *A_SITE, "--compiler", "gcc@12")
    assert (code, files(site)) == (9, before)
    assert "spacktainers.yaml: there already" in output


def test_a_pipeline_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("mine: {script: [make]}\n")
    assert jc(tmp_path, *A_SITE)[0] == 9
    assert files(tmp_path) == {".gitlab-ci.yml": b"mine: {script: [make]}\n"}


def test_an_environment_becomes_the_first_container(tmp_path: Path) -> None:
    folder = tmp_path / "Climate_Model"
    (folder / ".vscode").mkdir(parents=True)
    environment = "spack:\n  specs: [netcdf-c@4.9.3]   # pinned\n  view: true\n"
    (folder / "spack.yaml").write_text(environment)
    (folder / ".vscode" / "settings.json").write_text("{}")
    (folder / ".gitignore").write_text("*.nc\n")
    code, output = jc(folder, *A_SITE)
    assert code == 0, output
    assert (folder / "container_definitions/amd64/climate-model.yaml").read_text() == environment
    assert not (folder / "spack.yaml").exists(), "there it would be the template of all containers"
    assert (folder / ".vscode" / "settings.json").read_text() == "{}"
    assert (folder / ".gitignore").read_text().startswith("*.nc\n")


def test_an_environment_that_is_not_valid_is_kept_and_its_faults_are_shown(tmp_path: Path) -> None:
    (tmp_path / "spack.yaml").write_text("spack: {specs: ['hdf5@']}\n")
    code, output = jc(tmp_path, *A_SITE, "--name", "mine")
    assert code == 3
    assert "container_definitions/amd64/mine.yaml:1:" in output
    assert specs(tmp_path, "mine") == ["hdf5@"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--cache-bucket", "Not A Bucket", "bucket"),
        ("--endpoint", "s3.example.org", "no http or https URL"),
        ("--target", "skylake9", "target"),
        ("--compiler", "%gcc", "compiler"),
        ("--name", "builder", "builder"),
    ],
)
def test_answers_that_cannot_be_used_are_named(option: str, value: str, said: str, tmp_path: Path) -> None:
    code, output = jc(tmp_path, *A_SITE, option, value)
    assert code == 3
    assert said in output
    assert (tmp_path / "spacktainers.yaml").exists() == (option == "--name")


def test_a_new_container_is_for_all_architectures(site: Path) -> None:
    text = (site / "spacktainers.yaml").read_text()
    head, _, own = text.partition("  amd64:\n")
    own = own.partition("\n# publish")[0]
    (site / "spacktainers.yaml").write_text(f"{head}  amd64:\n{own}  arm64:\n{own.replace('x86_64_v3', 'armv8.2a')}")
    code, output = jc(site, "new", "samtools", "--spec", "samtools@1.21", "--spec", "bcftools")
    assert code == 0, output
    assert specs(site, "samtools") == specs(site, "samtools", "arm64") == ["samtools@1.21", "bcftools"]
    assert "jc render-ci" in output, "an architecture more has jobs of its own"
    assert jc(site, "new", "zlib", "--arch", "arm64")[0] == 0
    assert specs(site, "zlib", "arm64") == ["zlib"]
    assert not (site / "container_definitions/amd64/zlib.yaml").exists()


def test_a_new_container_may_wrap_an_image_or_take_an_environment(site: Path, tmp_path: Path) -> None:
    assert jc(site, "new", "web", "--image", "docker.io/library/nginx:1.27")[0] == 0
    assert (site / "container_definitions/amd64/web.def").read_text().splitlines()[0] == "Bootstrap: docker"
    environment = tmp_path / "spack.yaml"
    environment.write_text("spack:\n  specs: [fftw]\n")
    assert jc(site, "new", "waves", "--from", str(environment))[0] == 0
    assert specs(site, "waves") == ["fftw"]
    assert environment.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("web", "--spec", "openmpi@"), 3),
        (("Web",), 2),
        (("builder",), 3),
        (("web", "--image", "docker://nginx:1"), 3),
        (("web", "--arch", "riscv64"), 7),
        (("hello", "--spec", "zlib"), 9),
        (("hello", "--image", "nginx:1"), 9),
        (("web", "--spec", "zlib", "--image", "nginx:1"), 2),
        (("../web",), 2),
    ],
)
def test_nothing_is_left_of_what_cannot_be_used(site: Path, arguments: tuple[str, ...], code: int) -> None:
    before = files(site)
    assert jc(site, "new", *arguments)[0] == code
    assert files(site) == before
    assert [path.name for path in site.parent.iterdir()] == [site.name]


def test_faults_of_other_containers_do_not_keep_a_new_one_away(site: Path) -> None:
    (site / "container_definitions/amd64/old.yaml").write_text("spack: {specs: ['hdf5@']}\n")
    code, output = jc(site, "new", "samtools")
    assert (code, specs(site, "samtools")) == (0, ["samtools"])
    assert "jc check" in output
