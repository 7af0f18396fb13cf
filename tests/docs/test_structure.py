"""How the code is built, where no other tool looks: SQL is in its places, the storage interface stays narrow."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tocsin.storage import interface
from tocsin.storage.statements import load

ROOT = Path(__file__).parents[2]
SQL = re.compile(
    r"^\s*(--.*\n\s*)*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s|ALTER\s|CREATE\s|DROP\s"
    r"|PRAGMA\s|BEGIN\b|COMMIT\b|ROLLBACK\b|NOTIFY\s|LISTEN\s|VACUUM\b|SHOW\s)"
)
CONNECTION = re.compile(
    r"^(PRAGMA \w+( = .*)?|BEGIN( IMMEDIATE)?|COMMIT|ROLLBACK|NOTIFY .*|SELECT pg_advisory_xact_lock.*)$"
)
"""Beside the files of statements: how a connection is set up, a transaction bounded, somebody woken."""
METHODS_MAX = 25


def sources() -> Iterator[Path]:
    """Every module but migrations: each of those is the schema as it was."""
    return (path for path in sorted((ROOT / "src/tocsin").rglob("*.py")) if "migrations" not in path.parts)


def sql_in(path: Path) -> list[str]:
    """String literals, also parts of f-strings, that begin as a statement does. Docstrings are prose."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]
    return [node.value for node in literals if isinstance(node.value, str) and SQL.match(node.value)]


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT 1", True),
        ("\n  UPDATE endpoints SET again = 1", True),
        ("WITH log AS (", True),
        ("PRAGMA synchronous", True),
        ("Update the report.", False),
        ("INSERT", False),
        ("with somebody as a guest", False),
    ],
)
def test_what_counts_as_sql(tmp_path: Path, text: str, is_sql: bool) -> None:
    module = tmp_path / "module.py"
    module.write_text(f'"""SELECT of a docstring."""\nname = {text!r}\n')
    assert bool(sql_in(module)) is is_sql


def test_sql_is_in_one_place_for_each_dialect() -> None:
    found = {path.relative_to(ROOT).as_posix(): sql_in(path) for path in sources()}
    assert len(found) > 50
    outside = {path: texts for path, texts in found.items() if texts and "/storage/" not in path}
    assert outside == {}, "SQL outside of storage"
    beside = {path: [text for text in texts if not CONNECTION.match(text)] for path, texts in found.items()}
    assert {path: texts for path, texts in beside.items() if texts} == {}, "SQL beside sqlite.sql and postgres.sql"


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_each_named_statement_is_used(dialect: str) -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/tocsin/storage").glob("*.py"))
    assert [name for name in load(dialect) if f'"{name}"' not in code] == []


def test_the_storage_interface_stays_narrow() -> None:
    methods = [name for one in (interface.Reading, interface.Writing, interface.Storage) for name in declared(one)]
    assert len(methods) == len(set(methods))
    assert len(methods) <= METHODS_MAX


def declared(protocol: Any) -> list[str]:
    return [name for name, value in vars(protocol).items() if callable(value) and not name.startswith("_")]
