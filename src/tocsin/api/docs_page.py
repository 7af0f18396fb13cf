"""The description as a page for people: every route by its tag, with parameters, bodies, examples and answers.

It is made of the very description that tools get, needs no script, no build and nothing from elsewhere, and is readable
on a phone. The policy that goes with it allows its one style sheet and nothing else.
"""

import json
import re
import shlex
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
    components, base = description["components"], description["servers"][0]["url"]
    for name, found in _sections(description):
        shown = [_operation(method, path, one, components, base) for method, path, one in found]
        yield _section(name, told[name], shown)
    hooks = [_notification(name, one["post"], components) for name, one in description["webhooks"].items()]
    yield _section("notifications", told["notifications"], hooks)
    schemas = [_schema(name, one, components) for name, one in components["schemas"].items()]
    yield _section("schemas", "What bodies and answers look like.", schemas)


def _section(name: str, told: str, shown: Iterable[Html]) -> Html:
    title = name[:1].upper() + name[1:]
    return element("section", element("h2", title), element("p", told), *shown, id=_anchor(name))


def _operation(method: str, path: str, one: Schema, components: Schema, base: str) -> Html:
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
        *_example(_command(method, path, one, base)),
        *_answers(one["responses"], components),
        *_leads(one["responses"], components),
    ]
    return element("details", summary, *parts, id=one["operationId"])


def _command(method: str, path: str, one: Schema, base: str) -> str:
    """The call as a shell command; variables of the path are left to be filled in."""
    lines = [f"curl {'' if method == 'get' else f'-X {method.upper()} '}{shlex.quote(base + path)}"]
    if one["security"]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if "requestBody" in one:
        example = one["requestBody"]["content"]["application/json"].get("example", {})
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(_shown(example))}")
    return " \\\n  ".join(lines)


def _notification(name: str, one: Schema, components: Schema) -> Html:
    summary = element(
        "summary",
        element("span", "POST", class_="method post"),
        element("code", name),
        element("span", one["summary"], class_="told"),
    )
    example = one["requestBody"]["content"]["application/json"]["example"]
    parts = [
        *_parameters(one["parameters"], components),
        *_body(one["requestBody"], components),
        *_example(_shown(example)),
        *_answers(one["responses"], components),
    ]
    return element("details", summary, *parts, id=f"notification-{name}")


def _schema(name: str, one: Schema, components: Schema) -> Html:
    summary = element("summary", element("code", name))
    example = _example(_shown(one["example"])) if "example" in one else ()
    return element("details", summary, *_members(one, components), *example, id=f"schema-{name}")


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
        yield _table(("name", "kind", "meaning"), rows)


def _body(body: Schema | None, components: Schema) -> Iterator[Html]:
    if body is None:
        return
    yield element("h3", "Body" if body.get("required") else "Body, if any")
    yield from _members(body["content"]["application/json"]["schema"], components)


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
        yield _table(("member", "kind", "meaning"), rows)
    elif not found.get("properties"):
        yield element("p", _kind(found))


def _named(name: str, *, required: bool) -> Html:
    return joined([element("code", name), " *" if required else ""])


def _answers(responses: Mapping[str, Schema], components: Schema) -> Iterator[Html]:
    """What comes of it; refusals, which are much the same everywhere, behind their statuses."""
    yield element("h3", "Answers")
    rows = {status: _answer(status, one, components) for status, one in responses.items()}
    refusals = [status for status in rows if status >= "400" and status.isdigit()]
    heads = ("status", "body", "meaning")
    yield _table(heads, [row for status, row in rows.items() if status not in refusals], class_="answers")
    if refusals:
        summary = element("summary", "Refusals: ", *(joined([element("code", one), " "]) for one in refusals))
        table = _table(heads, [rows[one] for one in refusals], class_="answers")
        yield element("details", summary, table, class_="example")


def _answer(status: str, one: Schema, components: Schema) -> tuple[Html, Html, str]:
    response = _resolved(one, components)
    kinds = [_kind(content["schema"]) for content in response.get("content", {}).values() if "schema" in content]
    return element("code", status), joined(kinds, ", "), response["description"]


def _leads(responses: Mapping[str, Schema], components: Schema) -> Iterator[Html]:
    """What takes something that an answer holds."""
    links = [
        _resolved(one, components) for response in responses.values() for one in response.get("links", {}).values()
    ]
    told = {one["operationId"]: one["description"] for one in links}
    items = [element("li", element("a", text, href=f"#{name}")) for name, text in told.items()]
    if items:
        yield element("details", element("summary", "Leads to"), element("ul", *items), class_="example")


def _shown(example: Any) -> str:
    return json.dumps(example, ensure_ascii=False, indent=2)


def _example(shown: str) -> Iterator[Html]:
    yield element("details", element("summary", "Example"), element("pre", shown), class_="example")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], class_: str = "members") -> Html:
    head = element("tr", *(element("th", one) for one in heads))
    body = [element("tr", *(element("td", one) for one in row)) for row in rows]
    return element("table", head, *body, class_=class_)


def _kind(schema: Schema) -> Html:
    """What a schema takes, in a few words; another schema by its name, with a link to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return element("a", name, href=f"#schema-{name}")
    if schema.get("type") == "array":
        return joined(["list of ", _kind(schema["items"])]) if schema.get("items") else markup("list")
    choices = [one for one in schema.get("anyOf", schema.get("oneOf", ())) if one != {"type": "null"}]
    if any(one.get("type") == "number" for one in choices):
        choices = [one for one in choices if one.get("type") != "integer"]  # each of them is a number
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
    low, above, high = (schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    bounds = [
        *([] if low is None else [f" from {_number(low)}"]),
        *([] if above is None else [f" above {_number(above)}"]),
        *([] if high is None else [f" {'up ' if low is None else ''}to {_number(high)}"]),
    ]
    if "maxLength" in schema:
        least = f"{schema['minLength']} to " if schema.get("minLength") else "up to "
        bounds.append(f" of {least}{schema['maxLength']} characters")
    return "".join(bounds)


def _number(bound: float) -> str:
    return str(int(bound) if bound == int(bound) else bound)


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
