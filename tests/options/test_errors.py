"""One line says what went wrong, in a file of the user's with its place."""

import pytest

from exp.options.errors import brief, shown


def test_a_file_that_is_not_python_is_named_with_its_line() -> None:
    with pytest.raises(SyntaxError) as raised:
        compile("x = 1\ny = (\n", "/home/me/model.py", "exec")
    assert brief(raised.value) == "/home/me/model.py:2: not Python: '(' was never closed"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n too wide \nat a.py"), "ValueError: too wide"),
        (KeyError("a"), "KeyError: 'a'"),
        (RuntimeError(), "RuntimeError"),
        (SyntaxError("odd"), "SyntaxError: odd"),
    ],
)
def test_the_first_line_is_enough(error: Exception, line: str) -> None:
    assert brief(error) == line


def test_what_cannot_be_printed_is_escaped() -> None:
    assert shown(ValueError("a\x1b[2Jb\nc")) == "a\\x1b[2Jb c"
