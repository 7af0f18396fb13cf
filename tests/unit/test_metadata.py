"""Metadata and its schemas: each rule, and the seeded ones by themselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.business_activities import SEEDED
from tocsin.domain.errors import Invalid
from tocsin.domain.metadata import FORMATS, OPERATORS, TYPES, checked

KINDS = {"type": "string", "enum": ["lamp", "pole"]}
PARTS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 2,
    "items": {"oneOf": [{"type": "string", "enum": [one]} for one in ("bulb", "glass", "arm")]},
}


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    return {"required": list(required), "properties": properties}


def only_if(operator: str, path: str, *values: str) -> dict[str, Any]:
    return {"conditions": {"allOf": [{"operator": operator, "path": path, "value": list(values)}]}}


def wrong(wanted: dict[str, Any], metadata: dict[str, Any]) -> list[str]:
    with pytest.raises(Invalid) as raised:
        checked(wanted, metadata)
    assert all(one.message.endswith(".") for one in raised.value.violations)
    return [one.path for one in raised.value.violations]


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ({}, ["anything", "7"], []),
        ({"type": "string"}, ["anything"], [["a list"]]),
        ({"type": "integer"}, ["0", "-12"], ["1.5", "x", "1e3", " 1", "१", "0x1"]),
        ({"type": "number"}, ["0", "-1.5", "3"], ["x", "nan", "inf", "1.", ".5", "1,5"]),
        ({"type": "boolean"}, ["true", "false"], ["yes", "True", "1"]),
        ({"format": "date"}, ["2018-02-28"], ["2018-02-30", "28.02.2018", "20180228", "2018-W09-3"]),
        (
            {"format": "date-time"},
            ["2018-02-28T10:00:00Z", "2018-02-28T10:00:00+02:00"],
            ["2018-02-28", "2018-02-28T25:00:00Z"],
        ),
        ({"format": "email"}, ["ada@example.org"], ["ada", "@", "a b@c"]),
        ({"format": "uri"}, ["https://example.org/a"], ["example.org", "https://[", "a: b"]),
        ({"format": "nobody knows"}, ["x"], []),
        (KINDS, ["lamp"], ["LAMP", "tree"]),
        (
            PARTS,
            ["bulb", "bulb,glass", "bulb, arm", ["bulb"], ["glass", "arm"]],
            ["tree", ["bulb"] * 2, "bulb,glass,arm", ["bulb,glass"]],
        ),
        ({"type": "array", "minItems": 2}, ["a,b", ["a", "b", "c"]], ["a", ["a"]]),
        (
            {"type": "array", "items": {"oneOf": [{"type": "integer"}, {"enum": ["7", "many"]}]}},
            ["3", "many"],
            ["7", "x"],
        ),
    ],
)
def test_a_value_is_of_its_property(wanted: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    for value in good:
        kept = checked(schema(one=wanted), {"one": value})["one"]
        assert checked(schema(one=wanted), {"one": kept}) == {"one": kept}, "what is kept may be sent again"
    for value in bad:
        assert wrong(schema(one=wanted), {"one": value}) == ["metadata.one"], value


def test_a_list_is_kept_as_one_text() -> None:
    assert checked(schema(parts=PARTS), {"parts": ["bulb", "arm"]}) == {"parts": "bulb,arm"}
    assert checked(schema(parts=PARTS), {"parts": "bulb, arm"}) == {"parts": "bulb,arm"}


def test_every_wrong_member_is_named_at_once() -> None:
    wanted = schema("kind", "size", kind=KINDS, size={"type": "number"}, parts=PARTS)
    assert wrong(wanted, {"size": "x", "parts": "x", "colour": "red"}) == [
        "metadata.size",
        "metadata.parts",
        "metadata.colour",
        "metadata.kind",
    ]


@pytest.mark.parametrize("nothing", [{}, {"kind": ""}, {"kind": []}])
def test_what_is_required_is_there_and_not_empty(nothing: dict[str, Any]) -> None:
    assert wrong(schema("kind", kind=KINDS), nothing) == ["metadata.kind"]
    assert checked(schema(kind=KINDS), nothing) == {}


def test_a_schema_without_properties_takes_anything_but_lists() -> None:
    assert checked({}, {"anything": "goes"}) == checked(schema(), {"anything": "goes"}) == {"anything": "goes"}
    assert wrong({}, {"a": ["b"]}) == ["metadata.a"]


def test_a_property_is_asked_for_only_under_its_conditions() -> None:
    wanted = schema("height", kind=KINDS, height={"type": "number", **only_if("in", "kind", "pole")})
    assert checked(wanted, {"kind": "lamp"}) == {"kind": "lamp"}
    assert checked(wanted, {}) == {}
    assert wrong(wanted, {"kind": "pole"}) == ["metadata.height"]
    assert wrong(wanted, {"kind": "lamp", "height": "3"}) == ["metadata.height"]
    assert checked(wanted, {"kind": "pole", "height": "3"}) == {"kind": "pole", "height": "3"}


def test_conditions_may_say_what_must_not_be_and_look_into_arrays() -> None:
    wanted = schema(
        parts=PARTS, why={**only_if("notIn", "parts", "bulb", "glass")}, watt=only_if("in", "parts", "bulb")
    )
    assert checked(wanted, {"parts": "arm", "why": "rust"}) == {"parts": "arm", "why": "rust"}
    assert checked(wanted, {"why": "rust"}) == {"why": "rust"}
    assert wrong(wanted, {"parts": "arm,bulb", "why": "rust"}) == ["metadata.why"]
    assert checked(wanted, {"parts": ["arm", "bulb"], "watt": "60"}) == {"parts": "arm,bulb", "watt": "60"}
    assert wrong(wanted, {"parts": "arm", "watt": "60"}) == ["metadata.watt"]


@pytest.mark.parametrize("activity", SEEDED, ids=lambda one: one.name)
def test_a_seeded_schema_is_well_formed(activity: Any) -> None:
    properties = activity.metadata_schema["properties"]
    assert len(properties) >= 3
    assert set(activity.metadata_schema["required"]) <= set(properties)
    assert [one["propertyOrder"] for one in properties.values()] == list(range(1, len(properties) + 1))
    for one in properties.values():
        assert one["title"]
        assert one["type"] in {"string", "array", *TYPES}
        assert one.get("format", "date") in FORMATS
        assert checked(schema(one={**one, "conditions": {}}), {"one": example(one)})
        for condition in one.get("conditions", {}).get("allOf", ()):
            assert condition["operator"] in OPERATORS
            assert set(condition["value"]) <= set(properties[condition["path"]]["enum"])


def example(one: dict[str, Any]) -> Any:
    if one["type"] == "array":
        return [choice["enum"][0] for choice in one["items"]["oneOf"]]
    if "enum" in one:
        return one["enum"][0]
    texts = {"date": "2018-02-27", "date-time": "2018-02-27T10:00:00Z", "email": "a@example.org"}
    return texts.get(one.get("format", ""), "true" if one["type"] == "boolean" else "7")


NAMES = st.sampled_from(["problem", "floor", "room", "affected", "seen", "since", "contact", "anything"])
VALUES = st.one_of(
    st.text(max_size=20), st.lists(st.text(max_size=5), max_size=4), st.sampled_from(["7", "true", "door"])
)


@given(st.sampled_from(SEEDED), st.dictionaries(NAMES, VALUES))
def test_of_any_metadata_comes_texts_or_a_refusal(activity: Any, metadata: dict[str, Any]) -> None:
    try:
        kept = checked(activity.metadata_schema, metadata)
    except Invalid:
        assert wrong(activity.metadata_schema, metadata)
        return
    assert all(isinstance(one, str) and one for one in kept.values())
    assert checked(activity.metadata_schema, kept) == kept
