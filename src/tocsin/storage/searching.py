"""`search[…]`: text that contains other text, whatever the case of its letters, on every engine alike.

Neither engine does that by itself: SQLite knows the case of ASCII letters only, and PostgreSQL that of its database's
locale, which may be C. Both match a class of characters, though, such as `[éÉ]`. So a search text that is more than
ASCII becomes a pattern of classes, and a quick LIKE with `_` in place of the other letters goes before it.

No index has text: the rows of the list are looked at one by one, which the size of an organization bounds. Measured
against trigrams in `docs/decisions/0012-lists.md`.
"""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Contains(FunctionElement[bool]):
    """column, LIKE's pattern[, GLOB's pattern, the regular expression]"""

    inherit_cache = True
    type = Boolean()


def contains(column: ColumnElement[str], text: str) -> Contains:
    """Rows whose column contains the text, in upper or lower case."""
    patterns = [like(text)] if text.isascii() else [like(text), glob(text), expression(text)]
    return Contains(column, *(literal(pattern) for pattern in patterns))


@compiles(Contains, "sqlite")
def _on_sqlite(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    column, quick, *exact = (compiler.process(one, **options) for one in _parts(element, 0))
    return " AND ".join([f"{column} LIKE {quick} ESCAPE '\\'", *(f"{column} GLOB {one}" for one in exact)])


@compiles(Contains, "postgresql")
def _on_postgresql(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    column, quick, *exact = (compiler.process(one, **options) for one in _parts(element, 1))
    return " AND ".join([f"{column} ILIKE {quick} ESCAPE '\\'", *(f"{column} ~ {one}" for one in exact)])


def _parts(element: Contains, engine: int) -> list[ColumnElement[Any]]:
    """The column, LIKE's pattern, and the exact one of the engine where there is one."""
    parts = list(element.clauses)
    return [*parts[:2], *parts[2 + engine : 3 + engine]]


def like(text: str) -> str:
    """LIKE's pattern, escaped by backslashes: any character in place of those beyond ASCII."""
    return "%" + "".join(_like(character) for character in text) + "%"


def _like(character: str) -> str:
    if not character.isascii():
        return "_"
    return f"\\{character}" if character in "\\%_" else character


def glob(text: str) -> str:
    """GLOB's pattern."""
    return (
        "*"
        + "".join(_class(character, f"[{character}]" if character in "*?[" else character) for character in text)
        + "*"
    )


def expression(text: str) -> str:
    """PostgreSQL's regular expression."""
    return "".join(_class(c, f"\\{c}" if c.isascii() and not c.isalnum() else c) for c in text)


def _class(character: str, otherwise: str) -> str:
    cases = {character, character.lower(), character.upper(), character.title()}
    letters = sorted(one for one in cases if len(one) == 1)
    return f"[{''.join(letters)}]" if len(letters) > 1 else otherwise
