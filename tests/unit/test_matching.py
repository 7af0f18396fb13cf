"""Who gets a report: the grid of the contract, section 6, seen by a member of B."""

import pytest

from tocsin.domain.errors import Conflict
from tocsin.domain.matching import Candidate, match
from tocsin.domain.states import ReportState

A, B = Candidate("a", "lamps"), Candidate("b", "water")


@pytest.mark.parametrize(
    ("around", "normal", "pro"),
    [([A], ("a",), None), ([A, B], ("a", "b"), ("b",)), ([B], ("b",), ("b",)), ([], None, None)],
)
def test_the_grid(around: list[Candidate], normal: tuple[str, ...] | None, pro: tuple[str, ...] | None) -> None:
    for agent_of, expected, state in ((None, normal, ReportState.NEW), ("b", pro, ReportState.ACCEPTED)):
        if expected is None:
            with pytest.raises(Conflict):
                match(around, agent_of=agent_of)
        else:
            matched = match(around, agent_of=agent_of)
            assert (matched.organization_ids, matched.state) == (expected, state)


def test_a_category_narrows_to_its_organization() -> None:
    assert match([A, B], category_organization_id="b").organization_ids == ("b",)
    with pytest.raises(Conflict):
        match([A], category_organization_id="b")


def test_a_business_activity_narrows_to_organizations_of_it() -> None:
    assert match([A, B], business_activity_id="lamps").organization_ids == ("a",)
    with pytest.raises(Conflict):
        match([A, B], business_activity_id="roads")
