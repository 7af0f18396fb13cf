"""The metadata of feedback, checked against the schema of the business activity that it names.

A schema is {"required": [name], "properties": {name: property}}; a property has `type` (string, integer, number,
boolean, array; string where it has none), `enum`, `format`, `minItems`, `maxItems`, `items` {"oneOf": [choice]} and
`conditions` {"allOf": [{"operator", "path", "value"}]}; a choice is a property of its own (CONTRACT, section 3,
"BusinessActivity"). `title`, `description`, `default` and `propertyOrder` are for whoever draws a form. A schema
without properties takes anything.

Metadata is texts by name. An array is its items with commas between, and may be sent as a list. An empty text is as
good as none. A property whose conditions do not hold is not asked for, so that it is neither required nor taken.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from tocsin.domain.errors import Invalid, Violation

SEPARATOR: Final = ","

Schema = Mapping[str, Any]
Value = str | Sequence[str]

_NUMBER: Final = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,30}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

OPERATORS: Final[dict[str, Callable[[set[str], set[str]], bool]]] = {
    "in": lambda given, wanted: bool(given & wanted),
    "notIn": lambda given, wanted: not given & wanted,
}
"""What a condition asks of the items given for another property (one, unless it is an array), and its `value`."""


def checked(schema: Schema, metadata: Mapping[str, Value], path: str = "metadata") -> dict[str, str]:
    """The metadata as it is kept. Raises Invalid with the path of each wrong member."""
    given = {name: value for name, value in metadata.items() if value not in ("", [], ())}
    properties: Mapping[str, Schema] = schema.get("properties", {})
    violations = [Violation(f"{path}.{name}", reason) for name, reason in _wrong(schema, properties, given)]
    if violations:
        raise Invalid(*violations)
    return {name: _kept(properties.get(name, {}), value) for name, value in given.items()}


def _kept(wanted: Schema, value: Value) -> str:
    return SEPARATOR.join(_items(value)) if wanted.get("type") == "array" else str(value)


def _wrong(schema: Schema, properties: Mapping[str, Schema], given: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Each wrong member, and why."""
    for name, value in given.items():
        reason = _reason(properties.get(name), properties, given, value) if properties else _not_a_text(value)
        if reason is not None:
            yield name, reason
    for name in schema.get("required", ()):
        if name not in given and name in properties and _unmet(properties[name], properties, given) is None:
            yield name, "This is required."


def _reason(
    wanted: Schema | None, properties: Mapping[str, Schema], given: Mapping[str, Value], value: Value
) -> str | None:
    if wanted is None:
        return f"There is no such member: there are {', '.join(properties)}."
    return _unmet(wanted, properties, given) or _mismatch(wanted, value)


def _unmet(wanted: Schema, properties: Mapping[str, Schema], given: Mapping[str, Value]) -> str | None:
    """Why the property is not asked for now; None: it is."""
    for condition in wanted.get("conditions", {}).get("allOf", ()):
        path, values = condition["path"], condition["value"]
        kept = _kept(properties.get(path, {}), given.get(path, ""))
        items = set(kept.split(SEPARATOR)) if properties.get(path, {}).get("type") == "array" else {kept}
        if not OPERATORS[condition["operator"]](items - {""}, set(values)):
            word = "is" if condition["operator"] == "in" else "is not"
            return f"This is asked for only where {path} {word} {' or '.join(values)}."
    return None


def _mismatch(wanted: Schema, value: Value) -> str | None:
    """Why the value is none of the property."""
    if wanted.get("type") == "array":
        return _mismatched_items(wanted, _items(value))
    return _not_a_text(value) or _mismatched_text(wanted, str(value))


def _not_a_text(value: Value) -> str | None:
    return None if isinstance(value, str) else "This is one text, not a list."


def _items(value: Value) -> Sequence[str]:
    return [part.strip() for part in value.split(SEPARATOR)] if isinstance(value, str) else value


def _mismatched_items(wanted: Schema, items: Sequence[str]) -> str | None:
    least, most = wanted.get("minItems", 0), wanted.get("maxItems", len(items))
    if not least <= len(items) <= most:
        return f"There are {least} to {most} items." if "maxItems" in wanted else f"There are at least {least} items."
    if any(SEPARATOR in item for item in items):
        return "An item holds no comma."
    if len(set(items)) < len(items):
        return "An item is there twice."
    choices = wanted.get("items", {}).get("oneOf", ())
    for item in items:
        if choices and sum(_mismatched_text(choice, item) is None for choice in choices) != 1:
            return f"{item!r} is none of the choices."
    return None


def _mismatched_text(wanted: Schema, text: str) -> str | None:
    reason = TYPES.get(wanted.get("type", "string"), _any)(text) or FORMATS.get(wanted.get("format", ""), _any)(text)
    if reason is None and "enum" in wanted and text not in wanted["enum"]:
        return f"{text!r} is none of {', '.join(wanted['enum'])}."
    return reason


def _any(_: str) -> None:
    return None


def _integer(text: str) -> str | None:
    return None if _INTEGER.fullmatch(text) else "This is a whole number."


def _number(text: str) -> str | None:
    return None if _NUMBER.fullmatch(text) else "This is a number, such as 1.5."


def _boolean(text: str) -> str | None:
    return None if text in ("true", "false") else "This is true or false."


def _date(text: str) -> str | None:
    return (
        None if _DATE.fullmatch(text) and _parses(date.fromisoformat, text) else "This is a date, such as 2018-02-27."
    )


def _date_time(text: str) -> str | None:
    if _DATE_TIME.fullmatch(text) and _parses(datetime.fromisoformat, text.upper()):
        return None
    return "This is a date and time, such as 2018-02-27T10:00:00+02:00."


def _email(text: str) -> str | None:
    return None if _EMAIL.fullmatch(text) else "This is an e-mail address."


def _uri(text: str) -> str | None:
    return None if _parses(_with_scheme, text) else "This is an absolute URI."


def _with_scheme(text: str) -> None:
    if not urlsplit(text).scheme or any(character.isspace() for character in text):
        raise ValueError


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


Check = Callable[[str], str | None]
TYPES: Final[dict[str, Check]] = {"integer": _integer, "number": _number, "boolean": _boolean}
"""Why a text is none of the type; a type that is not here is any text."""
FORMATS: Final[dict[str, Check]] = {"date": _date, "date-time": _date_time, "email": _email, "uri": _uri}
"""As JSON Schema has it, a format that nobody knows asks nothing."""
