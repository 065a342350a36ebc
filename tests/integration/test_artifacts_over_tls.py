"""`ga` where servers have certificates of private authorities: GitLab, its object store, and a proxy before both."""

from __future__ import annotations

import base64
import contextlib
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from get_artifacts.__main__ import main
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.proxy import tunnelling_proxy
from tests.integration.certificates import own_authority

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CI_SERVER_TLS_CA_FILE")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*BUNDLES, *PROXY_VARIABLES, *(name.upper() for name in PROXY_VARIABLES)):
        monkeypatch.delenv(name, raising=False)


def authority(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    (folder / name).mkdir()
    return own_authority(folder / name)


def together(folder: Path, *certificates: Path) -> str:
    bundle = folder / "bundle.pem"
    bundle.write_bytes(b"".join(one.read_bytes() for one in certificates))
    return str(bundle)


def fetch(gitlab: FakeGitLab, out: Path, **variables: str) -> Result:
    """Fetch the archive of the one job that there is."""
    out.mkdir(exist_ok=True)
    environment = {
        "CI_API_V4_URL": gitlab.api_url,
        "CI_PROJECT_ID": str(gitlab.projects[0].id),
        "CI_PIPELINE_ID": str(gitlab.projects[0].pipelines[0].id),
        "CI_JOB_TOKEN": gitlab.job_token,
        **variables,
    }
    arguments = ["-o", str(out), "--bridge", "*", "--job", "*", "--no-unpack", "--dotenv", str(out / "build.env")]
    with contextlib.chdir(out):
        return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def add_a_job(gitlab: FakeGitLab) -> None:
    gitlab.project().pipeline().child("below").job("a job", {"file": b"content"})


def test_the_object_store_may_have_an_authority_of_its_own(tmp_path: Path) -> None:
    tls, certificate = authority(tmp_path, "gitlab")
    store_tls, of_store = authority(tmp_path, "store")
    with FakeGitLab(tls=tls, store_tls=store_tls, redirects=True) as gitlab:
        add_a_job(gitlab)
        refused = fetch(gitlab, tmp_path / "out", CI_SERVER_TLS_CA_FILE=str(certificate))
        assert refused.exit_code == ExitCode.COULD_NOT_ASK
        store = urlsplit(gitlab.store.url)
        assert f"the certificate of {store.netloc} is not trusted" in refused.stderr
        assert "Signature" not in refused.output
        assert not gitlab.store.requests
        both = together(tmp_path, certificate, of_store)
        for number, variable in enumerate(BUNDLES):
            done = fetch(gitlab, tmp_path / f"out {number}", **{variable: both})
            assert done.exit_code == ExitCode.OK, done.output
            assert list((tmp_path / f"out {number}").glob("*.zip"))


@pytest.mark.parametrize("proxy_over_tls", [False, True])
def test_a_proxy_makes_tunnels_and_sees_no_token(tmp_path: Path, proxy_over_tls: bool) -> None:
    tls, certificate = authority(tmp_path, "gitlab")
    store_tls, of_store = authority(tmp_path, "store")
    proxy_tls, of_proxy = authority(tmp_path, "proxy")
    every = together(tmp_path, certificate, of_store, of_proxy)
    with (
        FakeGitLab(tls=tls, store_tls=store_tls, redirects=True) as gitlab,
        tunnelling_proxy(proxy_tls if proxy_over_tls else None) as proxy,
    ):
        add_a_job(gitlab)
        address = proxy.url.replace("://", "://somebody:word@")
        done = fetch(gitlab, tmp_path / "out", CI_SERVER_TLS_CA_FILE=every, https_proxy=address)
        assert done.exit_code == ExitCode.OK, done.output
        assert list((tmp_path / "out").glob("*.zip"))
        places = {urlsplit(url).netloc for url in (gitlab.url, gitlab.store.url)}
        assert {place for place, _ in proxy.targets} == places
        assert {said for _, said in proxy.targets} == {f"Basic {base64.b64encode(b'somebody:word').decode()}"}
        before = len(proxy.targets)
        settings = {"CI_SERVER_TLS_CA_FILE": every, "https_proxy": address, "no_proxy": "127.0.0.1,localhost"}
        excepted = fetch(gitlab, tmp_path / "direct", **settings)
        assert (excepted.exit_code, len(proxy.targets)) == (ExitCode.OK, before)
        refused = fetch(gitlab, tmp_path / "refused", CI_SERVER_TLS_CA_FILE=str(of_proxy), https_proxy=address)
        assert refused.exit_code == ExitCode.COULD_NOT_ASK
        assert "is not trusted" in refused.stderr
        assert "word@" not in refused.output
