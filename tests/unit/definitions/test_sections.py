"""Sections and arguments of the definition files that wrap images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from job_creator.definitions.header import read_imported_image, with_unpacked_image
from job_creator.definitions.sections import APP_SECTIONS, SECTIONS, begins_section, filled, sections

HEADER = "Bootstrap: docker\nFrom: a:1\n"


def faults(text: str) -> list[str]:
    try:
        read_imported_image(text.encode(), "x.def")
    except InvalidInputError as error:
        return [str(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"%{name}\n" for name in sorted(SECTIONS)),
        "".join(f"%{name} app\n" for name in sorted(APP_SECTIONS)),
        "%post -c /bin/bash\n    echo hi\n%POST\n  echo again\n%%help\n",
        "%post\r\n  echo '100 %'\r\n",
        "%arguments\n  A=1\n  # none\n\n  B = {{ A }}\n%post\n  echo {{A}} {{ B }} {{ .Field }}\n  # {{ C }}\n",
        "%post\n  bootstrap: x\n",
    ],
)
def test_what_apptainer_takes_is_no_fault(text: str) -> None:
    assert faults(HEADER + text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%pst\n", "x.def:3:1: '%pst' is no section; did you mean '%post'?"),
        ("%enviroment\n", "x.def:3:1: '%enviroment' is no section; did you mean '%environment'?"),
        ("%appinstal x\n", "x.def:3:1: '%appinstal' is no section; did you mean '%appinstall'?"),
        ("%appinstall\n", "x.def:3:1: '%appinstall' does not say of which app; write '%appinstall name'"),
        (
            "%post\t-c sh\n",
            "x.def:3:1: a tab follows '%post', and Apptainer reads it as part of the name; write a space",
        ),
        (
            "%post\n  cat > x <<EOF\n  %setting 1\nEOF\n",
            "x.def:5:3: '%setting' is indented, and Apptainer reads a section without a name; "
            "write it at the start of the line; in a script, let no line start with '%'",
        ),
        (
            "%files from build\n  a b\n",
            "x.def:3:1: '%files from build' takes files of a stage that is not there; "
            "there is one image here and no other stage; leave out what follows '%files'",
        ),
        (
            "%post\n  x\nBootstrap: docker\nFrom: b:2\n",
            "x.def:5:1: a second 'Bootstrap'; definitions with several stages wrap no single image; "
            "Apptainer takes every line that starts with this word for a new stage; keep one of them",
        ),
        (
            "%arguments\n  NAME=1\n%post\n  echo {{ NMAE }}\n",
            "x.def:6:8: '{{ NMAE }}' has no default, and nothing else gives it a value; did you mean 'NAME'?",
        ),
        ("%arguments\n  NAME 1\n", "x.def:4:1: 'NAME 1' is no argument; write 'NAME=value'"),
    ],
)
def test_what_apptainer_refuses_has_its_place(text: str, message: str) -> None:
    assert faults(HEADER + text) == [message]
    assert faults("% \n")[-1].startswith("x.def:")


def test_the_image_may_hang_on_arguments() -> None:
    header = "Bootstrap: docker\nFrom: {{ NAME }}:{{TAG}} # which\n\n"
    text = f"{header}%arguments\n  NAME=group/app\n  TAG={{{{ MAJOR }}}}.1\n  MAJOR=9\n"
    assert str(read_imported_image(text.encode(), "x.def")) == "docker.io/group/app:9.1"
    (undefined,) = faults(text.replace("TAG=", "TOG="))
    assert undefined.startswith("x.def:2:18: '{{TAG}}' has no default")
    # The sections go on to Apptainer with their arguments.
    built = with_unpacked_image(text, "image")
    dated = "%labels\n    org.label-schema.build-date Wednesday_2_January_1980_0:0:0_UTC\n"
    assert built == f"Bootstrap: localimage\nFrom: image\n\n{text[text.index('%arguments') :]}{dated}"


@given(st.text(alphabet="%{} \n\tpostfilearguments=#N", max_size=80))
def test_any_text_has_sections_or_faults_with_places(text: str) -> None:
    written = sections(text)
    assert sum(len(one.body) + 1 for one in written) <= text.count("\n") + 1
    assert [one.line for one in written] == [
        number for number, line in enumerate(text.split("\n"), start=1) if begins_section(line)
    ]
    for fault in faults(text):
        assert 1 <= int(fault.split(":")[1]) <= text.count("\n") + 1


@given(st.dictionaries(st.sampled_from("ABC"), st.text(alphabet="xyz{} ABC", max_size=6)), st.text(alphabet="{ }ABCx"))
def test_text_without_arguments_stays(values: dict[str, str], text: str) -> None:
    assert filled(text.replace("{{", "{"), values) == text.replace("{{", "{")
