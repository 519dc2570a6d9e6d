import pytest

from exp.tables.words import p_value


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (None, ""),
        (1.0, "1.00"),
        (0.142, "0.14"),
        (0.0497, "0.0497"),
        (0.05, "0.050"),
        (0.0312, "0.031"),
        (1e-4, "< 0.001"),
    ],
)
def test_p_is_told_from_five_per_cent(p: float | None, said: str) -> None:
    assert p_value(p) == said
