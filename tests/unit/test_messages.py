"""Every sentence that an error can say is said in French, too."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import hypothesis
import pytest
from hypothesis import strategies as st
from pydantic_core import core_schema

from tocsin import domain
from tocsin.api.messages import (
    MESSAGE_MAX_CHARACTERS,
    SENTENCES,
    translated,
    validation_message,
)
from tocsin.api.messages_validation import VALIDATION
from tocsin.delivery.address import REASON
from tocsin.domain import errors
from tocsin.domain.languages import DEFAULT, Language, preferred

SOURCE = Path(domain.__file__).parents[1]
RAISED = {
    name
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.TocsinError) and name != "Invalid"
}
"""Errors whose first argument is a sentence. An Invalid has violations, whose second one is."""
SHOWN_VALUE_ERRORS = {"ValueError", "SecretError"}
"""Those become violations where a validator raises them."""
ELSEWHERE = (
    "cli/",
    "settings.py",
    "key.py",
    "app.py",
    "log.py",
    "simulation",
    "storage/migrat",
    "delivery/connection",
    "mail/server",
    "mail/message",
    "storage/postgres_examination",
    "storage/sqlite_examination",
)
"""What speaks to operators at their terminal, in English."""
NOT_SHOWN = {"there is no entity tag", "an entity tag is written in quotes"}
"""Caught where they are raised, and said in other words."""
HTTP = {"Not Found", "Method Not Allowed", "There was an error parsing the body"}
"""Of Starlette and FastAPI."""
PARTS = {"report", "operation", "nothing", "rings", "points", ", near longitude {}, latitude {}"}
"""What fills a place of a sentence."""
WRITTEN: dict[str, tuple[tuple[str, str], ...]] = {
    "delivery/target.py": (("delivery/address.py", "REASON"),),
    "domain/metadata.py": tuple(
        ("domain/metadata.py", name)
        for name in (
            "_wrong",
            "_reason",
            "_unmet",
            "_not_a_text",
            "_mismatched_items",
            "_mismatched_text",
            "_integer",
            "_number",
            "_boolean",
            "_date",
            "_date_time",
            "_email",
        )
    ),
    "service/pictures.py": (("domain/pictures.py", "Refusal"),),
    "storage/sqlite.py": (("storage/sqlite.py", "REFUSALS"),),
}
"""Where sentences are kept that a file raises without writing them: for each such file, the files and in them the names
of the tables, enumerations or functions."""


def pattern(node: ast.expr) -> str | None:
    """A sentence as the catalogue has it: `{}` where something is filled in. None: it is not written here."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return None


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def sentence_of(node: ast.Call) -> ast.expr | None:
    """The argument of a call that is a sentence to somebody."""
    name, arguments = called(node), node.args
    if name in RAISED | SHOWN_VALUE_ERRORS and arguments:
        return arguments[0]
    if name in {"Violation", "RefusedUrl"} and len(arguments) > 1:
        return arguments[1]
    return None


def branches(node: ast.expr) -> list[ast.expr]:
    return [*branches(node.body), *branches(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def sentences(tree: ast.Module) -> Iterator[tuple[int, str | None]]:
    """Each with its line; None where the sentence comes from somewhere that can't be followed.

    A name is followed to what is assigned to it, or, for a parameter, to the calls of its function in the same file.
    """
    for function in functions(tree):
        for node in calls(function):
            argument = sentence_of(node)
            for one in branches(argument) if argument is not None else []:
                yield from followed(one, function, tree)


def functions(tree: ast.Module) -> list[Any]:
    return [tree, *(one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))]


def calls(scope: ast.AST) -> Iterator[ast.Call]:
    """Those in a function, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from calls(child)


def followed(node: ast.expr, function: Any, tree: ast.Module) -> Iterator[tuple[int, str | None]]:
    found = pattern(node)
    if found is not None or not isinstance(node, ast.Name):
        passed_on = isinstance(node, ast.Call) and called(node) in {"str", "translated", "validation_message"}
        if not passed_on:
            yield node.lineno, found
        return
    comes = [*assigned(node.id, function, tree), *given(node.id, function, tree)]
    if not comes:
        yield node.lineno, None
    for value, where in comes:
        for one in branches(value):
            yield from followed(one, where, tree)


def assigned(name: str, function: Any, tree: ast.Module) -> list[tuple[ast.expr, Any]]:
    """What is assigned to a name in a function, or in the file."""
    return [
        (one.value, function)
        for one in [*ast.walk(function), *tree.body]
        if isinstance(one, ast.Assign | ast.AnnAssign) and one.value is not None and assigns(one, name)
    ]


def given(name: str, function: Any, tree: ast.Module) -> list[tuple[ast.expr, Any]]:
    """What a function's parameter is called with, in its file, and by which function."""
    names = [] if isinstance(function, ast.Module) else [one.arg for one in function.args.args]
    if name not in names:
        return []
    place = names.index(name)
    return [
        (one.args[place], caller)
        for caller in functions(tree)
        for one in calls(caller)
        if called(one) == function.name and len(one.args) > place
    ]


def assigns(node: ast.Assign | ast.AnnAssign, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(one, ast.Name) and one.id == name for one in targets)


def raised() -> dict[str, str]:
    """Every sentence, and where it is. What is put together of others has no letter of its own."""
    found: dict[str, str] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        name = str(file.relative_to(SOURCE))
        if not name.startswith(ELSEWHERE):
            for line, one in sentences(ast.parse(file.read_text(encoding="utf-8"))):
                if one is not None and any(map(str.isalpha, one)):
                    found[one] = f"{name}:{line}"
                elif one is None and name not in WRITTEN:
                    found[f"a sentence that can't be followed: say in WRITTEN where it is ({name}:{line})"] = name
    return found | written()


def written() -> dict[str, str]:
    """The sentences of `WRITTEN`."""
    places = {place for each in WRITTEN.values() for place in each}
    return {one: f"{file}: {name}" for file, name in places for one in strings(file, name)}


def strings(file: str, name: str) -> set[str]:
    """The values of a table or an enumeration; what a function returns or yields."""
    for node in ast.walk(ast.parse((SOURCE / file).read_text(encoding="utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and getattr(targets[0], "id", "") == name:
            return set(written_in(node.value.values if isinstance(node.value, ast.Dict) else [node.value]))
        if getattr(node, "name", "") == name:
            kinds = ast.Assign if isinstance(node, ast.ClassDef) else ast.Return | ast.Yield
            return set(written_in([one.value for one in ast.walk(node) if isinstance(one, kinds)]))
    raise AssertionError(f"there is no {name} in {file}")


def written_in(nodes: Iterable[ast.expr | None]) -> Iterator[str]:
    for node in nodes:
        for one in node.elts if isinstance(node, ast.Tuple) else branches(node) if node is not None else []:
            found = pattern(one)
            if found is not None and " " in found:
                yield found


def known(sentence: str) -> bool:
    plain = {one[:1].lower() + one[1:].removesuffix(".") for one in SENTENCES}
    return sentence[:1].lower() + sentence[1:].removesuffix(".") in plain


def test_every_sentence_that_the_code_raises_has_its_french() -> None:
    found = raised()
    assert len(found) > 80, "the code was not found"
    assert set(REASON.values()) <= found.keys()
    assert [f"{where}: {one}" for one, where in found.items() if not known(one) and one not in NOT_SHOWN] == []


def test_no_sentence_of_the_catalogue_is_left_over() -> None:
    used = {one[:1].lower() + one[1:].removesuffix(".") for one in {*raised(), *HTTP, *PARTS, *said_by_the_boundary()}}
    assert [one for one in SENTENCES if one[:1].lower() + one[1:].removesuffix(".") not in used] == []


def said_by_the_boundary() -> set[str]:
    """What `api.errors` says itself."""
    tree = ast.parse((SOURCE / "api" / "errors.py").read_text(encoding="utf-8"))
    return {
        pattern(one.args[0]) or ""
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and called(one) == "translated" and one.args
    }


def test_each_french_sentence_has_the_places_of_its_english_one() -> None:
    for english, french in SENTENCES.items():
        count = english.count("{}")
        filled = french.format(*(f"<{number}>" for number in range(count)))
        assert all(f"<{number}>" in filled for number in range(count)), english


UNREACHABLE = (
    "arguments", "argument", "attribute", "bytes", "callable", "complex", "counter", "dataclass", "date", "decimal",
    "default_factory", "deque", "ellipsis", "fraction", "frozen", "get_attribute", "is_subclass", "iteration_error",
    "named_tuple", "needs_python", "no_such_attribute", "ordered_dict", "set_item", "sentinel", "string_not_ascii",
    "time", "union_tag", "url_", "uuid_", "assertion_error", "value_error", "multiple_argument",
)  # fmt: skip
"""Types of errors of types that no request model has, or, of value_error, whose sentence is our own."""


def test_whatever_pydantic_finds_is_said_in_plain_words() -> None:
    reachable = [one for one in get_args(core_schema.ErrorType) if not any(part in one for part in UNREACHABLE)]
    assert [one for one in reachable if one not in VALIDATION] == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.FRENCH),
        ("fr-FR", Language.FRENCH),
        ("fr", Language.FRENCH),
        ("en-US", Language.ENGLISH),
        ("en", Language.ENGLISH),
        ("EN-gb", Language.ENGLISH),
        ("de", Language.FRENCH),
        ("de, en;q=0.5", Language.ENGLISH),
        ("en;q=0.5, fr;q=0.6", Language.FRENCH),
        ("en;q=0.6, fr;q=0.5", Language.ENGLISH),
        ("fr;q=0.8,en-US;q=0.9,*;q=0.1", Language.ENGLISH),
        ("*", Language.FRENCH),
        ("en;q=0", Language.FRENCH),
        ("en ; q = 0.9", Language.ENGLISH),
        ("en;q=2", Language.FRENCH),
        ("en;level=1", Language.FRENCH),
        ("english", Language.FRENCH),
        (",,, en", Language.ENGLISH),
    ],
)
def test_the_language_is_the_best_of_those_that_are_taken(header: str, language: Language) -> None:
    assert (preferred(header) or DEFAULT) is language


@hypothesis.given(st.text(max_size=300))
def test_any_header_is_some_language(header: str) -> None:
    assert (preferred(header) or DEFAULT) in Language


@hypothesis.given(st.text(max_size=300))
def test_any_sentence_is_said_in_either_language(text: str) -> None:
    assert translated(text, Language.ENGLISH) == text
    assert isinstance(translated(text, Language.FRENCH), str)


@hypothesis.given(
    st.sampled_from(sorted(SENTENCES)), st.lists(st.text("abc", min_size=1, max_size=9), min_size=4, max_size=4)
)
def test_what_fills_a_sentence_is_found_again(english: str, fillings: list[str]) -> None:
    count = english.count("{}")
    message = english.replace("{}", "%s") % tuple(fillings[:count]) if count else english
    french = translated(message, Language.FRENCH)
    assert all(one in french.lower() for one in fillings[:count])
    assert french != message or english == french


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("Not found.", "Introuvable."),
        (
            "The report is NEW: it can't close; available: accept, refuse.",
            "Signalement : l’état est NEW ; « close » est impossible ; possible : accept, refuse.",
        ),
        (
            "The address is private (RFC 1918) (private).",
            "L’adresse est privée (RFC 1918) (private).",
        ),
        (
            "This is not a URL: longer than 2048 characters (malformed).",
            "Ce n’est pas une URL : plus de 2048 caractères (malformed).",
        ),
        ("A sentence that nobody knows: 1 (2).", "A sentence that nobody knows: 1 (2)."),
    ],
)
def test_sentences_and_what_they_hold_are_french(english: str, french: str) -> None:
    assert translated(english, Language.FRENCH) == french


def test_what_is_empty_is_said_as_the_documentation_has_it() -> None:
    for error in (
        {"type": "missing", "msg": "Field required"},
        {"type": "string_too_short", "msg": "…", "ctx": {"min_length": 1}},
    ):
        assert validation_message(error, Language.FRENCH) == "Cette valeur ne doit pas être vide."


def test_a_choice_lists_what_there_is() -> None:
    error = {"type": "enum", "msg": "…", "ctx": {"expected": "'a', 'b' or 'c'"}}
    assert validation_message(error, Language.ENGLISH) == "This should be 'a', 'b' or 'c'."
    assert validation_message(error, Language.FRENCH).endswith("'a', 'b' ou 'c'.")


def test_a_sentence_that_quotes_much_is_cut() -> None:
    quoted = f"{'x' * 1_000_000} is none of NEW."
    assert len(translated(quoted, Language.FRENCH)) <= MESSAGE_MAX_CHARACTERS + 2
