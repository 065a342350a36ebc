"""Fixtures that several files of this folder use."""

from tests.integration.s3_server import s3_environment_fixture, s3_url_fixture

__all__ = ["s3_environment_fixture", "s3_url_fixture"]
