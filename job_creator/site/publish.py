"""Where containers are published besides: Docker Hub and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from foundation.validation import Form, Items, Value
from job_creator.site.words import Text, VariableName

ClusterName = Annotated[
    str, Form(r"^[a-z0-9][a-z0-9-]*$", "a name of lower case letters, digits and '-', such as 'cluster-1'")
]

Mode = Annotated[str, Form(r"^0?[0-7]{3}$", 'three octal digits in quotes, such as "0755"')]


class DockerHub(Value):
    """Publishing on Docker Hub."""

    namespace: Annotated[str, Form(r"^[a-z0-9]{2,255}$", "a name on Docker Hub: lower case letters and digits")]
    """The user or organization that images are published under."""
    user_variable: VariableName = "DOCKERHUB_USER"
    """Name of the CI variable with the user that may push there."""
    password_variable: VariableName = "DOCKERHUB_PASSWORD"
    """Name of the CI variable with that user's access token."""


class Cluster(Value):
    """A file system that SIF files are installed on, by a runner that sees it."""

    directory: Annotated[str, Form(r"^/[^\s]+$", "an absolute path without spaces, such as /shared/containers")]
    """The folder that files are installed in."""
    runner_tags: Items[Text]
    """Tags of the runner that sees this folder."""
    architecture: Text = "amd64"
    """The architecture of its machines, as the site file calls it."""
    setup: str = ""
    """Shell lines that run first, for example to load a module with Python 3.11 or newer."""
    keep: Annotated[int, Field(ge=0)] = 2
    """How many previous files of a container stay, for jobs that still run from them."""
    keep_days: Annotated[int, Field(ge=0)] = 30
    """For how many days a file stays in any case after the last link to it went: longer than any job runs from it."""
    folder_mode: Mode = "0755"
    """The permissions of folders that are made here, whatever the runner's umask; group and setgid are inherited."""
    file_mode: Mode = "0755"
    """The permissions of SIF files, whatever the runner's umask; their records get the same without `x`."""


class Publish(Value):
    """Where containers go besides the registry and the containers bucket."""

    dockerhub: DockerHub | None = None
    clusters: Mapping[ClusterName, Cluster] = {}
    """Clusters by name; the name stands in names of jobs."""
