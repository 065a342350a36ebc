"""Names of the files and folders of a repository with container definitions."""

from __future__ import annotations

from typing import Final

DEFINITIONS_FOLDER: Final = "container_definitions"


SITE_FILE: Final = "spacktainers.yaml"


TEMPLATE_FILE: Final = "spack.yaml"


REQUIREMENTS_FILE: Final = "spacktainers-requirements.txt"
"""What jobs install to have the commands, as pip reads it, in a repository that does not have them itself."""


PACKAGE_INDEX: Final = "package_index.json"
"""What the package repository has, as `jc index packages` writes it; needed by nothing, so a repository may lack it."""


PACKAGE_INDEX_CACHE: Final = ".package_index"
"""The folder in which jobs keep the one that they made, so that none is overwritten that the repository has."""
CACHED_PACKAGE_INDEX: Final = f"{PACKAGE_INDEX_CACHE}/{PACKAGE_INDEX}"


EXTRA_FILES_FOLDER: Final = "spacktainer"


EPILOGUE_FILE: Final = "Dockerfile.epilogue"


DOCKERFILE_TEMPLATE: Final = f"{EXTRA_FILES_FOLDER}/Dockerfile.j2"
"""The Dockerfile of every container."""


IMAGE_FILES_FOLDER: Final = f"{EXTRA_FILES_FOLDER}/image"
"""What that Dockerfile copies into the image."""


BASE_IMAGES: Final = ("builder", "runtime", "singularitah")
"""The images that every container is made with; each has a folder of its name, and no container may be called so."""


ALL: Final = "all"
"""All containers and base images, where a run is asked to build some in any case; no container may be called so."""


PARTS_WITH_DEFAULTS: Final = (TEMPLATE_FILE, *BASE_IMAGES, DOCKERFILE_TEMPLATE, IMAGE_FILES_FOLDER)
"""What a repository may leave out: `jc` has it as well."""


DEFAULTS_FOLDER: Final = "spacktainers.defaults"
"""The folder in which `jc` hands on, to the jobs that build base images, the folders that the repository leaves out."""


PROGRAMS_FOLDER: Final = "spacktainers.programs"
"""The folder in which `jc` hands on, to the jobs around Spack, the programs that they run."""


DEFAULT_IMAGE_FILES: Final = "_image"
"""The same for what containers are made with, beside the generated files of each; no container can be called so."""


MAX_CONTAINER_NAME: Final = 63
"""Keeps every job name that holds a container's name within the 128 characters that GitLab allows in `needs`."""


def merged_environment(container: str, architecture: str) -> str:
    """The file that holds the template and the definition of a container, merged."""
    return f"merged_spack_{container}_{architecture}.yaml"


def environments_folder(architecture: str) -> str:
    """The folder with one concrete environment per container, as the population jobs leave it."""
    return f"jobs_scratch_dir.{architecture}"
