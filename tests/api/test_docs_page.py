"""The page for people: complete, and nothing on it comes from elsewhere or runs."""

import itertools
import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Service
from tocsin.api.docs_page import page
from tocsin.api.html import Html, element, joined
from tocsin.domain.events import Event

VOID = {"link", "meta"}


class Reader(HTMLParser):
    """What is on a page. Raises where an element is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.anyio
async def test_the_page_shows_every_route_and_notification(service: Service) -> None:
    description = (await service.http.get("/openapi.json")).json()
    answer = await service.http.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    found = read(answer.text)
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    operations = [one for methods in description["paths"].values() for one in methods.values()]
    assert {one["operationId"] for one in operations} <= set(ids)
    assert {f"notification-{event}" for event in Event} <= set(ids)
    assert {f"schema-{name}" for name in description["components"]["schemas"]} <= set(ids)
    text = " ".join(found.text)
    for path, methods in description["paths"].items():
        assert path in text
        assert all(one["summary"] in text for one in methods.values()), path
    assert "Leads to" in text
    anchors = [attributes["href"] for tag, attributes in found.elements if tag == "a"]
    assert {one[1:] for one in anchors if one and one.startswith("#")} <= set(ids)
    assert '"event": "operationRemoved"' in text


@pytest.mark.anyio
async def test_nothing_on_the_page_runs_or_comes_from_elsewhere(service: Service) -> None:
    answer = await service.http.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    found = read(answer.text)
    assert {tag for tag, _ in found.elements} & {"script", "style", "img", "iframe", "form", "base", "object"} == set()
    for tag, attributes in found.elements:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, tag
        for name in ("href", "src"):
            assert not re.match(r"(?i)[a-z]+:|//", attributes.get(name) or ""), tag
    style = await service.http.get("/docs.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in found.elements


@pytest.mark.anyio
async def test_each_call_is_shown_as_a_command(service: Service) -> None:
    description = (await service.http.get("/openapi.json")).json()
    text = read((await service.http.get("/docs")).text).text
    commands = [shlex.split(one) for one in text if one.startswith("curl ")]
    called = {}
    for command in commands:
        arguments = dict(itertools.pairwise(command))
        (url,) = [one for one in command if one.startswith(service.url)]
        body = json.loads(arguments["-d"]) if "-d" in arguments else None
        called[arguments.get("-X", "GET"), url] = ("Authorization: Bearer $TOKEN" in command, body)
    assert called == {
        (method.upper(), service.url + path): (one["security"] != [], sent(one))
        for path, methods in description["paths"].items()
        for method, one in methods.items()
    }


def sent(operation: Any) -> Any:
    body = operation.get("requestBody")
    return None if body is None else body["content"]["application/json"]["example"]


@pytest.mark.anyio
async def test_a_page_that_is_known_is_not_sent_again(service: Service) -> None:
    for path in ("/docs", "/docs.css", "/openapi.json", "/swagger.json"):
        first = await service.http.get(path)
        again = await service.http.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path


TEXT = st.text(st.sampled_from("<>&\"'`*ab \n=/"), max_size=40)


@given(TEXT, TEXT)
def test_text_stays_text(one: str, another: str) -> None:
    found = read(element("p", one, element("b", another), title=one, class_=another))
    assert [tag for tag, _ in found.elements] == ["p", "b"]
    assert "".join(found.text) == one + another
    assert found.elements[0][1] == {"title": one, "class": another}
    assert isinstance(joined([one, another], "<"), Html)


@given(TEXT)
def test_a_description_is_no_markup(text: str) -> None:
    response: dict[str, Any] = {"description": text}
    operation = {
        "operationId": "x",
        "tags": ["t"],
        "summary": text,
        "description": text,
        "security": [],
        "parameters": [{"name": text, "in": "query", "schema": {"type": "string", "enum": [text]}}],
        "responses": {"200": response},
    }
    html = page(
        {
            "info": {"title": text, "version": "1", "description": text},
            "servers": [{"url": text}],
            "tags": [{"name": "t", "description": text}, {"name": "notifications", "description": text}],
            "paths": {"/x": {"get": operation}},
            "webhooks": {},
            "components": {"schemas": {"X": {"type": "object", "properties": {"a": {"const": text}}, "example": text}}},
        }
    )
    known = {"html", "head", "meta", "title", "link", "body", "header", "h1", "h2", "h3", "p", "code", "a", "nav", "ul"}
    known |= {"li", "main", "section", "details", "summary", "span", "div", "table", "tr", "th", "td", "pre", "strong"}
    assert {tag for tag, _ in read(html).elements} <= known
