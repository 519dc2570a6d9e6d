"""Option checks shared by the blocks: every bad value is one ValueError line saying where, what and what is allowed."""

from collections.abc import Collection


def one_of(where: str, option: str, value: str, allowed: Collection[str]) -> str:
    """Returns `value` if it is one of `allowed`; raises ValueError otherwise."""
    if value not in allowed:
        raise ValueError(f"{where}: {option}={value!r} is not known; allowed: {', '.join(allowed)}")
    return value


def plus_set(where: str, option: str, value: str, allowed: Collection[str]) -> tuple[str, ...]:
    """Splits an ordered set written as 'a+b'; raises ValueError for an unknown, repeated or missing name."""
    names = tuple(value.split("+")) if isinstance(value, str) else ()
    if not names or any(name not in allowed for name in names) or len(set(names)) != len(names):
        raise ValueError(
            f"{where}: {option}={value!r} is not an ordered set without repeats joined by '+'; "
            f"allowed names: {', '.join(allowed)}"
        )
    return names


def at_least(where: str, option: str, value: int, minimum: int) -> int:
    """Returns `value` if it is an integer >= `minimum`; raises ValueError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{where}: {option}={value!r} must be an integer >= {minimum}")
    return value


def odd(where: str, option: str, value: int) -> int:
    """Returns `value` if it is an odd positive integer (same-size padding needs one); raises ValueError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or value % 2 == 0:
        raise ValueError(f"{where}: {option}={value!r} must be an odd integer >= 1")
    return value


def acts_only(where: str, option: str, value: object, default: object, acts: bool, condition: str) -> None:
    """Raises ValueError when `option` was moved off its default in a combination where nothing reads it."""
    if not acts and value != default:
        raise ValueError(f"{where}: {option}={value!r} acts only with {condition}; leave it at {default!r}")


def one_of_ints(where: str, option: str, value: int, allowed: Collection[int]) -> int:
    """Returns `value` if it is one of `allowed`; raises ValueError otherwise."""
    if isinstance(value, bool) or value not in allowed:
        raise ValueError(f"{where}: {option}={value!r} is not known; allowed: {', '.join(map(str, allowed))}")
    return value
