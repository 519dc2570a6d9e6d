"""A recipe's options that depend on what is chosen: the ``when`` of its YAML.

``when: {model: {convlstm: {hidden: 32}}}`` gives an option to the chosen model, ``when: {data.preset: {tempo: {...}}}``
decides by an option's value instead of a choice. Inside, options of other parts may be given,
``when: {model: {convlstm: {data: {batch_subjects: 4}}}}``, and further decisions,
``when: {data: {walkers: {when: {model: {convlstm: {width: 8}}}}}}``. What the user gave is never changed. Of several
entries that give the same option, those of other parts come before a part's own, and earlier ones before later ones;
options that a part's choice does not have are left out.
"""

from typing import Any

from exp.options.catalog import GROUPS, SECTIONS
from exp.options.errors import ConfigError, nearest
from exp.options.fields import default_of, fields


def fill(when: dict[str, Any], given: dict[str, dict[str, Any]], schemas: dict[str, Any]) -> None:
    """Adds a recipe's options to those given.

    Args:
        when: The recipe's decisions.
        given: The options that are set, by part; changed in place.
        schemas: The options class of each part.

    Raises:
        ConfigError: The recipe names a part, choice or option that does not exist.
    """
    own: list[tuple[str, dict[str, Any]]] = []
    _decide(when, given, schemas, own, "when")
    for part, options in own:
        given[part] = _having(schemas[part], options) | given[part]


def _decide(
    when: dict[str, Any],
    given: dict[str, dict[str, Any]],
    schemas: dict[str, Any],
    own: list[tuple[str, dict[str, Any]]],
    where: str,
) -> None:
    """Fills in other parts' options and collects a part's own, which are filled in last."""
    for decides, by_name in _mapping(when, where).items():
        part, _, option = str(decides).partition(".")
        if part not in GROUPS and part not in SECTIONS:
            raise ConfigError(f"{where}.{part}: no such part{nearest(part, [*GROUPS, *SECTIONS])}")
        if option and option not in _fields_of(part):
            raise ConfigError(f"{where}.{decides}: no such option{nearest(option, _fields_of(part))}")
        for name, values in _mapping(by_name, f"{where}.{decides}").items():
            place = f"{where}.{decides}.{name}"
            values = _mapping(values, place)
            others = {key: more for key, more in values.items() if key in schemas and isinstance(more, dict)}
            further = values.get("when", {})
            plain = {key: value for key, value in values.items() if key not in others and key != "when"}
            _refuse_unknown(part, option, name, plain, others, place)
            applies = _decided(part, option, given, schemas) == name
            if applies:
                own.append((part, plain))
                for other, more in others.items():
                    given[other] = _having(schemas[other], more) | given[other]
            # Also where it does not apply, so that a recipe's slip is seen whatever is chosen.
            _decide(further, given if applies else _copy(given), schemas, own if applies else [], f"{place}.when")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    """Returns the mapping that is expected at a place; nothing counts as an empty one.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value or {}, dict):
        raise ConfigError(f"{where}: expected a mapping, such as when: {{att: {{ca: {{reduction: 8}}}}}}, not {value}")
    return value or {}


def _copy(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {part: dict(options) for part, options in given.items()}


def _refuse_unknown(
    part: str, option: str, name: Any, plain: dict[str, Any], others: dict[str, dict[str, Any]], place: str
) -> None:
    known = _fields_of(part)
    if not option and part in GROUPS:
        if name not in GROUPS[part]:
            raise ConfigError(f"{place}: no such choice{nearest(name, GROUPS[part])}")
        known = fields(GROUPS[part][name])
    for key in plain:
        if key not in known:
            raise ConfigError(f"{place}.{key}: no such option{nearest(key, known)}")
    for other, more in others.items():
        for key in more:
            if key not in _fields_of(other):
                raise ConfigError(f"{place}.{other}.{key}: no such option{nearest(key, _fields_of(other))}")


def _fields_of(part: str) -> dict[str, Any]:
    """Returns the options of a part, whatever is chosen for it."""
    if part in SECTIONS:
        return fields(SECTIONS[part])
    return {name: field for schema in GROUPS[part].values() for name, field in fields(schema).items()}


def _decided(part: str, option: str, given: dict[str, dict[str, Any]], schemas: dict[str, Any]) -> Any:
    """Returns a part's choice, or the value of one of its options; None where this run has no such option."""
    if not option:
        return schemas[part].name if part in GROUPS else given[part].get("name")
    if option not in fields(schemas[part]):
        return None
    return given[part].get(option, default_of(fields(schemas[part])[option]))


def _having(schema: type, options: dict[str, Any]) -> dict[str, Any]:
    """Returns those of the options that an options class has."""
    return {name: value for name, value in options.items() if name in fields(schema)}
