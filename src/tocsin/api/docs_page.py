"""The description as a page for people: every route by its tag, with parameters, bodies, examples and answers.

It is made of the very description that tools get, needs no script, no build and nothing from elsewhere, and is readable
on a phone. The policy that goes with it allows its one style sheet and nothing else.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from tocsin.api.html import Html, element, joined, markup

POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
STYLE: Final = files("tocsin.api").joinpath("docs.css").read_text(encoding="utf-8")
METHODS: Final = ("get", "post", "patch", "delete")
SUMMED_UP_MAX: Final = 8
"""Choices that are listed in a table's cell."""

_INLINE: Final = re.compile(r"\*\*(?P<strong>[^*]+)\*\*|`(?P<code>[^`]+)`")

Schema = Mapping[str, Any]


def page(description: Mapping[str, Any]) -> str:
    """The whole page."""
    title = f"{description['info']['title']} {description['info']['version']}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="stylesheet", href="docs.css"),
    )
    body = element("body", _header(description, title), _contents(description), element("main", *_parts(description)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(description: Mapping[str, Any], title: str) -> Html:
    machine = element("a", "openapi.json", href="openapi.json")
    server = element("code", description["servers"][0]["url"])
    where = element("p", "Base: ", server, ". For tools: ", machine, ".")
    return element("header", element("h1", title), where, *_prose(description["info"]["description"]))


def _contents(description: Mapping[str, Any]) -> Html:
    names = [*(name for name, _ in _sections(description)), "notifications", "schemas"]
    links = [element("li", element("a", name, href=f"#{_anchor(name)}")) for name in names]
    return element("nav", element("ul", *links), aria_label="Contents")


def _sections(description: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, Schema]]]]:
    """Each tag that has routes, with them."""
    for tag in description["tags"]:
        found = [
            (method, path, operations[method])
            for path, operations in description["paths"].items()
            for method in METHODS
            if method in operations and tag["name"] in operations[method]["tags"][-1:]
        ]
        if found:
            yield tag["name"], found


def _parts(description: Mapping[str, Any]) -> Iterator[Html]:
    told = {tag["name"]: tag["description"] for tag in description["tags"]}
    components = description["components"]
    for name, found in _sections(description):
        shown = [_operation(method, path, one, components) for method, path, one in found]
        yield _section(name, told[name], shown)
    hooks = [_notification(name, one["post"], components) for name, one in description["webhooks"].items()]
    yield _section("notifications", told["notifications"], hooks)
    schemas = [_schema(name, one, components) for name, one in components["schemas"].items()]
    yield _section("schemas", "What bodies and answers look like.", schemas)


def _section(name: str, told: str, shown: Iterable[Html]) -> Html:
    title = name[:1].upper() + name[1:]
    return element("section", element("h2", title), element("p", told), *shown, id=_anchor(name))


def _operation(method: str, path: str, one: Schema, components: Schema) -> Html:
    summary = element(
        "summary",
        element("span", method.upper(), class_=f"method {method}"),
        element("code", path),
        element("span", one["summary"], class_="told"),
    )
    parts = [
        *_prose(one.get("description", "")),
        element("p", _credential(one["security"])),
        *_parameters(one.get("parameters", []), components),
        *_body(one.get("requestBody"), components),
        *_answers(one["responses"], components),
        *_leads(one["responses"], components),
    ]
    return element("details", summary, *parts, id=one["operationId"])


def _notification(name: str, one: Schema, components: Schema) -> Html:
    summary = element(
        "summary",
        element("span", "POST", class_="method post"),
        element("code", name),
        element("span", one["summary"], class_="told"),
    )
    parts = [
        *_parameters(one["parameters"], components),
        *_body(one["requestBody"], components),
        *_answers(one["responses"], components),
    ]
    return element("details", summary, *parts, id=f"notification-{name}")


def _schema(name: str, one: Schema, components: Schema) -> Html:
    summary = element("summary", element("code", name))
    return element("details", summary, *_members(one, components), *_example(one.get("example")), id=f"schema-{name}")


def _credential(security: list[Schema]) -> str:
    if not security:
        return "Open to everybody; takes no credential."
    return "Open to everybody; a credential may show more." if {} in security else "Needs a credential."


def _parameters(parameters: Iterable[Schema], components: Schema) -> Iterator[Html]:
    resolved = [_resolved(one, components) for one in parameters]
    if resolved:
        yield element("h3", "Parameters")
        rows = [
            (
                _named(one["name"], required=one.get("required", False)),
                joined([one["in"], ", ", _kind(one["schema"])]),
                _words(one.get("description", "")),
            )
            for one in resolved
        ]
        yield _table(("name", "kind", ""), rows)


def _body(body: Schema | None, components: Schema) -> Iterator[Html]:
    if body is None:
        return
    yield element("h3", "Body" if body.get("required") else "Body, if any")
    content = body["content"]["application/json"]
    yield from _members(content["schema"], components)
    yield from _example(content.get("example"))


def _members(schema: Schema, components: Schema) -> Iterator[Html]:
    found = _resolved(schema, components)
    if "anyOf" in found:
        found = _resolved(found["anyOf"][0], components)
    required = found.get("required", [])
    rows = [
        (
            joined([element("code", name), " *" if name in required else ""]),
            _kind(one),
            _words(one.get("description", "")),
        )
        for name, one in found.get("properties", {}).items()
    ]
    if rows:
        yield _table(("member", "kind", ""), rows)
    elif not found.get("properties"):
        yield element("p", _kind(found))


def _named(name: str, *, required: bool) -> Html:
    return joined([element("code", name), " *" if required else ""])


def _answers(responses: Mapping[str, Schema], components: Schema) -> Iterator[Html]:
    yield element("h3", "Answers")
    rows = []
    for status, one in responses.items():
        response = _resolved(one, components)
        kinds = [_kind(content["schema"]) for content in response.get("content", {}).values() if "schema" in content]
        rows.append((element("code", status), response["description"], joined(kinds, ", ")))
    yield _table(("status", "", "body"), rows)


def _leads(responses: Mapping[str, Schema], components: Schema) -> Iterator[Html]:
    """What takes something that an answer holds."""
    links = [
        _resolved(one, components) for response in responses.values() for one in response.get("links", {}).values()
    ]
    told = {one["operationId"]: one["description"] for one in links}
    items = [element("li", element("a", text, href=f"#{name}")) for name, text in told.items()]
    if items:
        yield element("details", element("summary", "Leads to"), element("ul", *items), class_="example")


def _example(example: Any) -> Iterator[Html]:
    if example is not None:
        shown = json.dumps(example, ensure_ascii=False, indent=2)
        yield element("details", element("summary", "Example"), element("pre", shown), class_="example")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    head = element("tr", *(element("th", one) for one in heads))
    body = [element("tr", *(element("td", one) for one in row)) for row in rows]
    return element("div", element("table", head, *body), class_="wide")


def _kind(schema: Schema) -> Html:
    """What a schema takes, in a few words; another schema by its name, with a link to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return element("a", name, href=f"#schema-{name}")
    if schema.get("type") == "array":
        return joined(["list of ", _kind(schema["items"])]) if schema.get("items") else markup("list")
    choices = [one for one in schema.get("anyOf", schema.get("oneOf", ())) if one != {"type": "null"}]
    return joined([_kind(one) for one in choices], " or ") if choices else markup(_plain_kind(schema))


def _plain_kind(schema: Schema) -> str:
    if "const" in schema:
        return f"“{schema['const']}”"
    if "enum" in schema:
        choices = [f"“{one}”" for one in schema["enum"]]
        rest = len(choices) - SUMMED_UP_MAX
        return ", ".join(choices[:SUMMED_UP_MAX]) + (f" and {rest} more" if rest > 0 else "")
    kind = schema.get("format", schema.get("type", "anything"))
    return f"{kind}{_bounds(schema)}" + (f", {schema['default']} unless given" if "default" in schema else "")


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        return f" from {'…' if low is None else low} to {'…' if high is None else high}"
    least, most = schema.get("minLength", schema.get("minItems")), schema.get("maxLength", schema.get("maxItems"))
    if most is not None:
        return f" of {0 if least is None else least} to {most}"
    return ""


def _resolved(one: Schema, components: Schema) -> Schema:
    if "$ref" not in one:
        return one
    _, _, kind, name = one["$ref"].split("/")
    found: Schema = components[kind][name]
    return found


def _prose(text: str) -> Iterator[Html]:
    """Paragraphs and lists, with `code` and **strong** words; all that our descriptions use of Markdown."""
    for block in text.strip().split("\n\n"):
        if block.startswith("* "):
            items = [" ".join(item.split()) for item in block[2:].split("\n* ")]
            yield element("ul", *(element("li", _words(item)) for item in items))
        elif block:
            yield element("p", _words(" ".join(block.split())))


def _words(text: str) -> Html:
    parts: list[str] = []
    place = 0
    for match in _INLINE.finditer(text):
        parts += [text[place : match.start()], element(match.lastgroup or "code", match[match.lastgroup or 0])]
        place = match.end()
    return joined([*parts, text[place:]])


def _anchor(name: str) -> str:
    return f"tag-{name.replace(' ', '-')}"
