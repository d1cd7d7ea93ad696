"""Strict YAML."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixaris.exceptions import ConfigurationError
from pixaris.search.file.yaml_file import MAX_BYTES, parse_yaml, place, read_yaml


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(text, "search_spaces/x.yaml")
    assert caught.value.source == "search_spaces/x.yaml"
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e3", 1000.0),
        ("-.5", -0.5),
        ("+7", 7),
        ("0", 0),
        ("0x1F", 31),
        ("1e400", float("inf")),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("y", "y"),
        ("2026-01-01", "2026-01-01"),
        ("10.0.0.5:8188", "10.0.0.5:8188"),
        ("'1e-3'", "1e-3"),
        ("'no'", "no"),
        ("=", "="),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_words_are_read_as_a_person_means_them(text: str, value: object) -> None:
    document = parse_yaml(f"a: {text}")
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)
    assert document.faults == ()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("no", "false"),
        ("Yes", "true"),
        ("off", "false"),
        ("012", "10"),
        ("1:30", "90"),
        ("1_000", "1000"),
        ("0b11", "3"),
    ],
)
def test_words_that_yaml_versions_read_differently_are_reported_with_both_ways_out(
    text: str, read: str
) -> None:
    ((path, message),) = parse_yaml(f"a: [1, {text}]").faults
    assert path == "a.1"
    assert (
        message
        == f'`{text}` is ambiguous: YAML reads it as {read}; write {read}, or "{text}" in quotes if text is'
        " meant"
    )


def test_keys_are_always_text() -> None:
    assert parse_yaml("on: 1\n1: 2\nnull: 3\n<<: {a: 1}").value == {
        "on": 1,
        "1": 2,
        "null": 3,
        "<<": {"a": 1},
    }


def test_every_path_has_its_line() -> None:
    lines = parse_yaml("a:\n  b: [1,\n    {c: 2}]\nd: x").lines
    assert lines == {"a": 1, "a.b": 2, "a.b.0": 2, "a.b.1": 3, "a.b.1.c": 3, "d": 4}
    assert place("a.b.1.c", lines) == "a.b.1.c (line 3)"
    assert place("a.z", lines) == "a.z (line 1)"
    assert place("z", lines) == "z"
    assert place("a.z", {"a": 0}) == "a.z (--set a)"


def test_a_key_written_twice_is_named_with_both_lines_and_the_first_counts() -> None:
    document = parse_yaml("a: 1\nb: {c: 1,\n  c: [2, {d: 3}]}\na: {x: 1}")
    assert document.value == {"a": 1, "b": {"c": 1}}
    assert dict(document.faults) == {
        "b.c": "key 'c' is written twice (lines 2 and 3); keep one of them",
        "a": "key 'a' is written twice (lines 1 and 4); keep one of them",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n*x : 1", "line 2, column 1: uses the alias *x; aliases are not allowed, write the value out"),
        ("&x [1]", "line 1, column 1: has the anchor &x; anchors are not allowed, write the value out"),
        (
            "a: !!python/object:os.system 1",
            "line 1, column 4: has the tag tag:yaml.org,2002:python/object:os.system; tags are not",
        ),
        ("a: !x", "has the tag !x; tags are not allowed"),
        ("--- 1\n--- 2", "line 2, column 1: starts a second document"),
        ("[a]: 1", "line 1, column 1: has a key that is a list or a mapping"),
        ("a:\n\t- b", "line 2, column 1: is not valid YAML: "),
        ("a: [1, 2", "line 1, column 9: is not valid YAML: while parsing a flow sequence"),
        ("a: \x00", "line 1: has the character U+0000"),
        (
            'a: "x\\0"',
            "line 1, column 4: holds the character U+0000, which neither a file name nor a server takes",
        ),
        ('a: ["\\ud83d"]', "line 1, column 5: holds the character U+D83D"),
        ("", "is empty"),
        ("# nothing\n---\n", "is empty"),
        ("[" * 100_000, "line 1, column 21: is nested deeper than 20 levels"),
        ("{a: " * 100_000, "is nested deeper than 20 levels"),
    ],
)
def test_what_is_refused_is_refused_with_its_place(text: str, message: str) -> None:
    assert message in refusal(text)


def test_a_billion_laughs_are_not_laughed() -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "aliases are not allowed" in refusal(laughs)


def test_anchors_and_aliases_are_told_with_what_else_is_wrong() -> None:
    document = parse_yaml("a: &x [1]\nb: {c: *x, d: 2}\ne: no")
    assert document.value == {"a": [1], "b": {"c": None, "d": 2}, "e": "no"}
    assert [path for path, _ in document.faults] == ["a", "b.c", "e"]
    assert document.faults[1][1] == "uses the alias *x; aliases are not allowed, write the value out"
    assert document.lines["b.c"] == 2


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    (tmp_path / "restore.yaml").write_text("a: 1")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    expected = {
        "restor.yaml": "there is no such file (did you mean 'restore.yaml'?)",
        "no/such.yaml": "there is no such file",
        "": "is a folder; name a YAML file",
        "latin.yaml": "line 2: is not UTF-8 text; save the file as UTF-8",
        "large.yaml": "is larger than 1,000,000 bytes",
        "n" * 5000: "cannot be read: File name too long",
        "a\0b": "there is no such file",
    }
    for name, message in expected.items():
        with pytest.raises(ConfigurationError) as caught:
            read_yaml(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {message}")
    assert read_yaml(tmp_path / "bom.yaml").value == {"a": 1}


PIECES = st.sampled_from(
    [
        *"abc:-?[]{},&*!|>'\"%@`#~\n\t 01.",
        ": ",
        "- ",
        "\n  ",
        "<<",
        "no",
        "1e3",
        "0x",
        "---",
        "...",
        "!!int",
        "\u2028",
        "\ud800",
        "\0",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        parse_yaml(text)
