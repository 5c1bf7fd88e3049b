"""Paths within a folder, and the ways to write one that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guardrails.tools.paths import is_inside

POSIX, WINDOWS = "/srv/data", "C:\\data"


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/srv/data", POSIX),
        ("/srv/data/a/b.txt", POSIX),
        ("/srv/data/", POSIX),
        ("/srv//data/./a", POSIX),
        ("report.txt", POSIX),
        ("./a/b", POSIX),
        ("a/größe 100% (1).txt", POSIX),
        (".hidden", POSIX),
        ("data/a", "data"),
        ("a/b", "."),
        ("/etc", "/"),
        ("C:\\data\\a", WINDOWS),
        ("c:/DATA/a", WINDOWS),
        ("a\\b.txt", WINDOWS),
        ("\\\\host\\share\\a", "\\\\host\\share"),
    ],
)
def test_a_path_within_the_folder_passes(path: str, folder: str):
    assert is_inside(path, folder)


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "/",
        "/etc/passwd",
        "/srv/database",
        "/srv/data2/x",
        "/srv/Data/x",
        "/srv",
        "..",
        "../x",
        "/srv/data/../x",
        "a/../../x",
        "a/..",
        "a/.. /x",
        "a/... /x",
        "...",
        "~",
        "~/x",
        "~root/x",
        "$HOME/x",
        "${HOME}",
        "`id`",
        "%HOME%/x",
        "%2e%2e/x",
        "/srv/data/%2e%2e/x",
        "a%2fb",
        "%u002e%u002e/x",
        "a\\..\\x",
        "..\\x",
        "//srv/data/x",
        "file:///etc/passwd",
        "C:/x",
        "a\x00b",
        "/srv/data/x\x00/../../etc",
        "a\nb",
        "\u202ea",
        "．．/x",
        "‥/x",
        "a／..／x",
        "․․/x",
    ],
)
def test_a_path_that_leaves_the_folder_or_may_does_not_pass(path: str):
    assert not is_inside(path, POSIX)


@pytest.mark.parametrize(
    "path",
    [
        "D:\\data\\x",
        "C:x",
        "\\x",
        "/x",
        "C:\\data\\..\\x",
        "C:\\data.. \\x",
        "a\\.. \\x",
        "\\\\?\\C:\\data\\x",
        "\\\\.\\pipe\\x",
        "\\\\evil\\share",
        "//evil/share",
        "a.txt:stream",
        "a::$DATA",
        "con",
        "a\\NUL.txt",
        "COM1",
        "PROGRA~1\\x",
        "C:\\database",
    ],
)
def test_windows_has_more_ways_out(path: str):
    assert not is_inside(path, WINDOWS)


@pytest.mark.parametrize("path", ["a", "/etc/data/a", "other/a", "data2"])
def test_of_a_relative_folder_a_path_has_to_be_a_part(path: str):
    assert not is_inside(path, "data")


@given(st.lists(st.sampled_from(["a", "b.txt", ".", "..", "", "~", "srv", "data"]), max_size=8))
def test_what_passes_stays_within_once_it_is_resolved(parts: list[str]):
    for path in ("/".join(parts), "/srv/data/" + "/".join(parts)):
        if is_inside(path, POSIX):
            resolved: list[str] = [] if path.startswith("/") else ["srv", "data"]
            for part in path.split("/"):
                resolved = resolved[:-1] if part == ".." else [*resolved, part]
            assert [part for part in resolved if part not in ("", ".")][:2] == ["srv", "data"]
