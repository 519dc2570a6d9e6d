"""Text files and names as people have them."""

import os
from pathlib import Path

import pytest

from exp.data.files import distinct_names
from exp.data.source import DataError
from exp.data.text import natural, read_lines_of, refuse_unreadable_name, relative_name


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_of_any_system(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(f"ä b{end}{end}c{end}".encode(encoding))
    assert read_lines_of(path, "") == ["ä b", "", "c"]


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"abc\xe4\n")
    with pytest.raises(DataError, match=r"list.txt: not a text file \(byte 3: .*\); one a line"):
        read_lines_of(path, "one a line")


@pytest.mark.parametrize("name", ["a/b.jpg", "/a/b.jpg", "./a/b.jpg", "a\\b.jpg", "\\a\\.\\b.jpg", "a//b.jpg"])
def test_names_are_relative_to_the_set(name: str) -> None:
    assert relative_name(name, "list, line 1") == "a/b.jpg"


@pytest.mark.parametrize("name", ["../b.jpg", "a/../../b.jpg", "C:\\b.jpg", "C:/b.jpg", "a\0b", "/", "."])
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="list, line 1: .* leads out of the set's folder"):
        relative_name(name, "list, line 1")


def test_numbers_are_sorted_as_people_count() -> None:
    names = ["f10.png", "f9.png", "f1.png", "e2.png", "f009b.png"]
    assert sorted(names, key=natural) == ["e2.png", "f1.png", "f9.png", "f009b.png", "f10.png"]


def test_an_older_systems_name_is_refused_in_words_that_can_be_printed() -> None:
    with pytest.raises(DataError, match=r"caf\\xe9.jpg: the name is not UTF-8") as error:
        refuse_unreadable_name(os.fsdecode(b"caf\xe9.jpg"))
    str(error.value).encode()


def test_names_for_what_is_made_of_files_are_distinct(tmp_path: Path) -> None:
    a, b, c = tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg", tmp_path / "b" / "1.png"
    assert distinct_names([a, c], ["1", "2"]) == ["1", "2"]
    assert distinct_names([a, b], ["1", "1"]) == ["a/1", "b/1"]
    assert distinct_names([a, b, c], ["1", "1", "1"]) == ["a/1.jpg", "b/1.jpg", "b/1.png"]
