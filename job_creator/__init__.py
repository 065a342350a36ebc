"""From container definitions to GitLab pipelines: the `jc` command and the values behind it."""

__version__ = "0.1.0"
