"""The ways out of the program: files, processes, git, HTTP.

Programs start in `processes` alone, HTTP is spoken in `http` alone; `tests/unit/test_structure.py` holds both. Two
libraries go out by themselves: boto3 (`foundation/stores/s3_client.py`), python-gitlab (`get_artifacts/gitlab_api.py`).
"""
