"""The docs say what is true."""

import re
from pathlib import Path

import pytest
import typer

from tocsin.api import endpoints
from tocsin.api.application import routes
from tocsin.cli import app
from tocsin.domain.diagram import page
from tocsin.domain.events import Event
from tocsin.domain.metadata import FORMATS, OPERATORS, TYPES
from tocsin.metrics import Metrics
from tocsin.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_the_state_diagrams_are_drawn_from_the_tables() -> None:
    assert (REFERENCE / "states.md").read_text(encoding="utf-8") == page()


def test_the_reference_of_endpoints_is_made_from_the_routes() -> None:
    current = endpoints.page()
    assert (REFERENCE / "endpoints.md").read_text(encoding="utf-8") == current, "python -m tocsin.api.endpoints"
    served = {(method, route.path) for route in routes() for method in route.methods or ()}
    wrong = [one for one in endpoints.CALLS if ((one.method, one.path) in served) is bool(one.left_out)]
    assert wrong == [], "what is served is not left out, and what is left out has a reason"


def test_every_setting_is_in_the_reference() -> None:
    documented = set(re.findall(r"^\| `(TOCSIN_\w+)`", (REFERENCE / "settings.md").read_text(), re.MULTILINE))
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_command_is_in_the_reference() -> None:
    documented = set(
        re.findall(r"^\| `tocsin ([a-z]+(?: [a-z-]+)?)", (REFERENCE / "commands.md").read_text(), re.MULTILINE)
    )
    assert documented == set(commands(typer.main.get_command(app)))


def commands(group: object, prefix: str = "") -> list[str]:
    found = []
    for name, command in getattr(group, "commands", {}).items():
        inner = commands(command, f"{prefix}{name} ")
        found += inner or [f"{prefix}{name}"]
    return found


def test_every_metric_is_in_the_reference() -> None:
    documented = re.findall(r"^\| `(tocsin_\w+)`", (REFERENCE / "metrics.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(metric.name for metric in Metrics().registry.collect())


def test_every_event_is_in_the_reference() -> None:
    documented = re.findall(
        r"^\| `(\w+)` \| (?:Report|Operation) \|", (REFERENCE / "notifications.md").read_text(), re.MULTILINE
    )
    assert documented == list(Event)


def test_what_a_metadata_schema_may_ask_is_in_the_reference() -> None:
    text = (REFERENCE / "metadata.md").read_text(encoding="utf-8")
    rows = {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)}
    assert set(re.findall(r"`([\w-]+)`", rows["format"])) == set(FORMATS)
    assert set(re.findall(r"`([\w-]+)`", rows["type"])) - {"true", "false"} == {"string", "array", *TYPES}
    assert [row for row in rows if row in OPERATORS] == list(OPERATORS)


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_the_files_that_a_page_names_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|docs|tests|benchmarks)/[\w/.-]+)`", text) + re.findall(
        r"\]\(((?!http)[\w/.-]+)\)", text
    )
    assert [path for path in named if not (ROOT / path).exists()] == []
