"""schemathesis over the whole description: every call by itself, and the calls that its links lead to, one after another.

No server error, no status, header, media type or body that the description does not tell.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import RecordedScenario
from schemathesis.hooks import unregister

from tests.fuzz.server import Served
from tests.fuzz.steering import Steering

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
"""Not those of authorization: tests/api/test_matrix.py walks each route with every kind of caller. Not that what fits a
schema is taken: bodies have rules that JSON Schema has no words for.
"""
STEPS: Final = 12
"""Calls after one another, at most."""


@dataclass(frozen=True)
class Amount:
    """`each`: drawn calls of each operation; `chains`: of calls that follow links; `edges`: every boundary of a schema."""

    each: int
    chains: int
    edges: bool = False


@dataclass
class Found:
    """What was answered: statuses by operation; and what was wrong, by what tells it from the rest."""

    operations: frozenset[str] = frozenset()
    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    phases: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(counter.total() for counter in self.statuses.values())

    @property
    def succeeded(self) -> frozenset[str]:
        """Operations that had a 2xx."""
        return frozenset(name for name, one in self.statuses.items() if any(200 <= status < 300 for status in one))


def _config(seed: int, amount: Amount) -> schemathesis.Config:
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            "request-timeout": 60,
            "continue-on-failure": True,
            "generation": {"with-security-parameters": False, "database": "none", "no-shrink": True},
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "phases": {
                "examples": {"enabled": amount.edges},
                "coverage": {"enabled": amount.edges, "unexpected-methods": []},
                "fuzzing": {"enabled": amount.each > 0, "generation": {"max-examples": max(amount.each, 1)}},
                "stateful": {
                    "enabled": amount.chains > 0,
                    "max-steps": STEPS,
                    "generation": {"max-examples": max(amount.chains, 1)},
                },
            },
        }
    )


@contextmanager
def _steered(steering: Steering) -> Iterator[None]:
    """Hooks are global to schemathesis: taken back afterwards."""

    def before_call(_: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        steering.before(case)

    def after_call(_: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
        steering.after(case, response)

    schemathesis.hook(before_call)
    schemathesis.hook(after_call)
    try:
        yield
    finally:
        unregister(before_call)
        unregister(after_call)
        steering.close()


def fuzz(at: Served, seed: int, amount: Amount, found: Found | None = None) -> Found:
    """Adds to what was found, if there was something."""
    found = found or Found()
    begun = time.monotonic()
    schema = schemathesis.openapi.from_url(f"{at.url}/openapi.json", config=_config(seed, amount))
    found.operations |= {one.ok().label for one in schema.get_all_operations()}
    with _steered(Steering(at, seed)):
        for event in from_schema(schema).execute():
            match event:
                case events.ScenarioFinished():
                    _count(found, event.phase.value, event.recorder)
                case events.NonFatalError():
                    found.wrong.setdefault(f"{event.label}: {event.value}", event.info.format())
                case events.FatalError():
                    raise event.exception
                case _:
                    pass
    found.seconds += time.monotonic() - begun
    return found


def _count(found: Found, phase: str, recorder: RecordedScenario) -> None:
    for case_id, interaction in recorder.interactions.items():
        label = recorder.cases[case_id].value.operation.label
        if interaction.response is not None:
            found.statuses[label][interaction.response.status_code] += 1
            found.phases[phase] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                label = recorder.cases[case_id].value.operation.label
                name = f"{label}: {check.name}: {failure.message[:60]}"
                found.wrong.setdefault(name, f"{failure}\n{check.failure_info.code_sample}")
