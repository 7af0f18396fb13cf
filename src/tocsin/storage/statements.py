"""SQL as values: statements compiled once for each dialect, and the files of named hot statements.

Two kinds, and no third: a `Query` wraps a SQLAlchemy Core statement and serves every engine; a `*.sql` file holds the
few hot statements of the log and its deliveries in one engine's own words, each under `-- name: …` with a comment.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import Dialect, Executable, Table, bindparam, insert, update
from sqlalchemy.sql.expression import ClauseElement

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"^--.*$", re.MULTILINE)
_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Compiled:
    """One dialect's text, the names of its parameters in the order of their places, and the values already known."""

    text: str
    names: tuple[str, ...]
    known: Mapping[str, Any]

    def arguments(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in order. Raises KeyError where one is missing."""
        known = self.known
        return tuple(given[name] if name in given else known[name] for name in self.names)


class Query:
    """A statement compiled at its first use with each dialect, and kept."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = compile_statement(self._statement, dialect)
        return found


def compile_statement(
    statement: Executable | ClauseElement, dialect: Dialect, columns: Iterable[str] | None = None
) -> Compiled:
    assert isinstance(statement, ClauseElement)
    names = list(columns) if columns is not None else None
    compiled = statement.compile(dialect=dialect, column_keys=names, compile_kwargs={"render_postcompile": True})
    known = {name: value for name, value in compiled.params.items() if value is not None}
    required = {bind.key for bind in compiled.binds.values() if bind.required}  # type: ignore[attr-defined] # SQLCompiler's
    nulls = {name: None for name in compiled.params if name not in known and name not in required}
    return Compiled(str(compiled), tuple(compiled.positiontup or ()), {**known, **nulls})  # type: ignore[attr-defined]


class Writes:
    """INSERT and UPDATE by id, compiled once for each table and set of columns."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[tuple[str, str, tuple[str, ...]], Compiled] = {}

    def insert(self, table: Table, columns: tuple[str, ...]) -> Compiled:
        key = ("insert", table.name, columns)
        found = self._compiled.get(key)
        if found is None:
            statement = insert(table).values({column: bindparam(column) for column in columns})
            found = self._compiled[key] = compile_statement(statement, self._dialect)
        return found

    def update(self, table: Table, columns: tuple[str, ...]) -> Compiled:
        """UPDATE … WHERE id = :the_id."""
        key = ("update", table.name, columns)
        found = self._compiled.get(key)
        if found is None:
            values: dict[str, Any] = {column: bindparam(column) for column in columns}
            statement = update(table).where(table.c.id == bindparam("the_id")).values(values)
            found = self._compiled[key] = compile_statement(statement, self._dialect)
        return found


def load(name: str) -> dict[str, str]:
    """The statements of `storage/<name>.sql` by their names."""
    text = files("tocsin.storage").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    named = dict(zip(parts[0::2], (body.strip() for body in parts[1::2]), strict=True))
    assert len(named) == len(parts) // 2, "two statements share a name"
    return named


def numbered(text: str) -> Compiled:
    """A named statement with its `:names` as `$1`, `$2`, …, as PostgreSQL's protocol has them."""
    names: list[str] = []

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return Compiled(_PARAMETER.sub(place, _COMMENT.sub("", text)).strip(), tuple(names), {})
