"""The lines that a definition adds to its container's Dockerfile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from job_creator.definitions.definitions import read_definitions
from job_creator.definitions.epilogue import INSTRUCTIONS, epilogue_faults


def faults(text: str) -> list[str]:
    return [str(fault) for fault in epilogue_faults(text.encode(), "e")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "run echo a \\\n  && echo b\nEnv A=1 B=2\nENV A 1\nLABEL a=b\n",
        "RUN echo a \\\n# a comment\n\n   # and another\n  FORM b\nCMD\nENTRYPOINT\n",
        "RUN <<EOF\nFORM x\nEOF\nCOPY <<-'A' <<\"B\" /x/\nFORM\n\tA\nFORM\nB\nUSER 1\n",
        "RUN cat <<'FORM' > x && echo\nFROM y\nFORM\n",
        "RUN x=$((1<<2)); echo $x\n",
        "COPY --from=docker.io/library/busybox:1 /bin/true /bin/\nONBUILD RUN x\nHEALTHCHECK NONE\n",
        "\ufeffRUN x\r\nLABEL a=b \\\r\n  c=d\r\n",
        "RUN echo \\",
        "ADD https://example.org/x.tar /opt/\nADD --chown=1 git@example.org:x.git#main /opt/x\n",
        'COPY --chmod=755 --from=tools ["/bin/a b", "/bin/"]\n',
    ],
)
def test_what_buildah_takes_is_no_fault(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FORM x\n", "e:1:1: 'FORM' is no instruction of a Dockerfile; did you mean FROM?"),
        ("RUN a\n  COYP b c\n", "e:2:3: 'COYP' is no instruction of a Dockerfile; did you mean COPY?"),
        ("RUN a &&\n    apt-get b\n", "e:2:5: 'apt-get' is no instruction of a Dockerfile; does the line before"),
        ("ARG x\nfrom y\n", "e:2:1: 'FROM' begins another image, and the container would be thrown away; take files"),
        ("RUN\n", "e:1:1: nothing follows 'RUN'"),
        ("ENV A\n", "e:1:1: 'ENV' gives 'A' no value; write 'ENV NAME=value'"),
        ("ONBUILD RNU x\n", "e:1:1: 'RNU' is no instruction of a Dockerfile; did you mean RUN?"),
        ("ONBUILD FROM x\n", "e:1:1: 'ONBUILD FROM' is not allowed"),
        ("RUN a\nRUN <<EOF\nx\n", "e:2:1: the text after '<<EOF' does not end; end it by a line that is EOF alone"),
        ("COPY a /b\n", "e:1:1: 'COPY' takes 'a' from the checkout, which the build does not see; name it below"),
        ("add --chown=1 . /b\n", "e:1:1: 'add' takes '.' from the checkout"),
        ('COPY ["a b", "/c"]\n', "e:1:1: 'COPY' takes 'a b' from the checkout"),
        ("COPY <<A b /c\nx\nA\n", "e:1:1: 'COPY' takes 'b' from the checkout"),
        ("ONBUILD COPY . /checkout\n", "e:1:1: 'COPY' takes '.' from the checkout"),
        ("# escape=`\nRUN a\n", "e:1:1: 'escape' only counts at the top of a Dockerfile"),
    ],
)
def test_what_buildah_refuses_has_its_place(text: str, message: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(message)


def test_a_definition_with_a_bad_epilogue_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "container_definitions" / "amd64" / "app"
    folder.mkdir(parents=True)
    (folder / "spack.yaml").write_text("spack:\n  specs: [zlib]\n")
    (folder / "Dockerfile.epilogue").write_text("LABEL a=b\nFORM x\n")
    place = "container_definitions/amd64/app/Dockerfile.epilogue:2:1: 'FORM' is no instruction"
    with pytest.raises(InvalidInputError, match=place):
        read_definitions(tmp_path, ["amd64"])


_GOOD = st.tuples(
    st.sampled_from(sorted(INSTRUCTIONS - {"ADD", "COPY", "FROM", "ONBUILD"})),
    st.sampled_from(["a=b", "a=b \\\n  c=d", "a=<<x"]),
)


@given(st.lists(_GOOD), st.integers(min_value=0))
def test_one_bad_line_between_good_ones_is_found_at_its_line(good: list[tuple[str, str]], at: int) -> None:
    """Also after lines that go on."""
    at %= len(good) + 1
    texts = [f"{name.lower() if at else name} {arguments}\n" for name, arguments in good]
    assert faults("".join(texts)) == []
    before = "".join(texts[:at])
    found = faults(before + "FORM x\n" + "".join(texts[at:]))
    assert [fault.split(": ")[0] for fault in found] == [f"e:{before.count(chr(10)) + 1}:1"]


@given(st.text(alphabet='<>EOFRUN"\\# \n\t-'))
def test_any_text_gives_faults_with_places_or_none(text: str) -> None:
    for fault in faults(text):
        assert 1 <= int(fault.split(":")[1]) <= text.count("\n") + 1
