"""The root: where generic clients begin. From it every GET of the API is one link away.

Links lead to the lists that anybody has, and to those of the caller's own organizations. Templated links (HAL, section
5.2) lead to everything else: who has an id or a filter, but no link, gets there in one step. Their variables have the
names that mappings of links have.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tocsin.hal.links import Links, Target


def _camel(name: str) -> str:
    first, *others = name.lower().split("_")
    return first + "".join(one.title() for one in others)


_LISTS: Final[Mapping[str, Target]] = {
    "organizations": Target.ORGANIZATIONS,
    "feedbacks": Target.FEEDBACKS,
    "places": Target.PLACES,
    "categories": Target.CATEGORIES,
    "businessActivities": Target.BUSINESS_ACTIVITIES,
    "people": Target.PEOPLE,
}
_OTHERS: Final[Mapping[str, Target]] = {
    "eventTypes": Target.EVENT_TYPES,
    "service-desc": Target.DESCRIPTION,  # RFC 8631, as is the next
    "service-doc": Target.DOCS,
}
_OWN: Final[Mapping[str, Target]] = {
    "reports": Target.ORGANIZATION_REPORTS,
    "operations": Target.ORGANIZATION_OPERATIONS,
    "webhooks": Target.ORGANIZATION_WEBHOOKS,
}
_NO_TEMPLATES: Final = {Target.PASSWORD_CHANGE, Target.CHILD_PLACES}
"""A mail's link, and a list that `searchPlaces` narrows to."""
TEMPLATES: Final[Mapping[str, Target]] = {
    **{_camel(f"search_{one.name}"): one for one in _LISTS.values()},
    **{_camel(one.name): one for one in Target if "{" in one and one not in _NO_TEMPLATES},
}
"""The templated links, by their relations."""


def root(links: Links, organization_ids: Iterable[str], queries: Mapping[Target, Sequence[str]]) -> dict[str, Any]:
    """`organization_ids`: the caller's own; `queries`: the names of what narrows each list."""
    to = links.to
    found: dict[str, Any] = {"self": to(Target.ROOT)}
    found |= {name: to(target) for name, target in {**_LISTS, **_OTHERS}.items()}
    own = sorted(organization_ids)
    if own:
        found |= {name: [to(target, organization=one) for one in own] for name, target in _OWN.items()}
    found |= {name: links.template(target, queries.get(target, ())) for name, target in TEMPLATES.items()}
    return {"_links": found}
