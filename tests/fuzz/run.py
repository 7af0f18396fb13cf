"""schemathesis over the whole description: every call by itself, and chains of the calls that its links lead to.

No server error, no status, header, media type or body that the description does not tell.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from schemathesis.core.result import Ok
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import RecordedScenario
from schemathesis.hooks import unregister

from tests.fuzz.steering import Drawn, Steering

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
CHAINS: Final = "stateful"
SUITES_MAX: Final = 1_000
"""Of one seed, so that no other has theirs."""
REQUEST_SECONDS: Final = 60
NEVER: Final = {
    "POST /feedbacks/{feedback}/workflow/transition": "the service takes each transition by itself, before it answers",
    "PATCH /feedbacks/{feedback}/state": "the service takes each transition by itself, before it answers",
}
"""Operations that never succeed, and why."""


@dataclass(frozen=True)
class Amount:
    """`each`: drawn calls of each operation; `chains`: of calls that follow links; `edges`: operations, drawn by the
    seed, of which every boundary of every value is tried.
    """

    each: int
    chains: int
    edges: int = 0


@dataclass
class Found:
    """What was answered: statuses by operation; and what was wrong, by what tells it from the rest."""

    operations: frozenset[str] = frozenset()
    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    phases: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    chains: int = 0
    followed: int = 0
    """Calls to which a link led."""
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(counter.total() for counter in self.statuses.values())

    @property
    def reached(self) -> float:
        """The share of operations that had a 2xx, of those that can."""
        return len(self.succeeded - NEVER.keys()) / len(self.operations - NEVER.keys())

    @property
    def succeeded(self) -> frozenset[str]:
        """Operations that had a 2xx."""
        return frozenset(name for name, one in self.statuses.items() if any(200 <= status < 300 for status in one))


def _config(seed: int, **phases: Any) -> schemathesis.Config:
    """`phases`: those that run."""
    off = {name: {"enabled": False} for name in ("examples", "coverage", "fuzzing", "stateful")}
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            "request-timeout": REQUEST_SECONDS,
            "continue-on-failure": True,
            "generation": {"with-security-parameters": False, "database": "none", "no-shrink": True},
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "phases": {**off, **phases},
        }
    )


@contextmanager
def _steered(steering: Steering) -> Iterator[None]:
    """Hooks are global to schemathesis: taken back afterwards."""

    def before_call(_: schemathesis.HookContext, case: Drawn, **__: Any) -> None:
        steering.before(case)

    def after_call(_: schemathesis.HookContext, case: Drawn, response: schemathesis.Response) -> None:
        steering.after(case, response)

    schemathesis.hook(before_call)
    schemathesis.hook(after_call)
    try:
        yield
    finally:
        unregister(before_call)
        unregister(after_call)


def fuzz(steering: Steering, seed: int, amount: Amount, found: Found) -> None:
    """Adds to what was found. The same seed draws the same, as far as the service answers the same."""
    begun = time.monotonic()
    url = f"{steering.at.url}/openapi.json"
    each = {"enabled": amount.each > 0, "generation": {"max-examples": max(amount.each, 1)}}
    whole = schemathesis.openapi.from_url(url, config=_config(seed, fuzzing=each))
    labels = sorted(one.ok().label for one in whole.get_all_operations() if isinstance(one, Ok))
    found.operations |= set(labels)
    with _steered(steering):
        _execute(whole, found)
        _chain(url, seed, amount.chains, found)
        if amount.edges:
            edges = {"examples": {"enabled": True}, "coverage": {"enabled": True, "unexpected-methods": []}}
            some = set(random.Random(seed).sample(labels, amount.edges))
            rest = schemathesis.openapi.from_url(url, config=_config(seed, **edges))
            _execute(rest.include(lambda context: context.operation.label in some), found)
    for error in steering.at.errors:
        found.wrong.setdefault(f"log: {error[:80]}", error)
    found.seconds += time.monotonic() - begun


def _chain(url: str, seed: int, chains: int, found: Found) -> None:
    """A suite ends early where the service answers the same call otherwise than before, as one with a state does."""
    wanted, suites = found.chains + chains, 0
    while found.chains < wanted and suites < chains:
        drawn = {"enabled": True, "max-steps": STEPS, "generation": {"max-examples": wanted - found.chains}}
        config = _config(seed * SUITES_MAX + suites, stateful=drawn)
        _execute(schemathesis.openapi.from_url(url, config=config), found)
        suites += 1


def _execute(schema: Any, found: Found) -> None:
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


def _count(found: Found, phase: str, recorder: RecordedScenario) -> None:
    if phase == CHAINS and recorder.interactions:
        found.chains += 1
        found.followed += sum(recorder.cases[one].parent_id is not None for one in recorder.interactions)
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


def figures(found: Found) -> str:
    """For people: what was called, by phase and by operation, and what became of it."""
    lines = [f"{'calls':>6} {'2xx':>5} {'4xx':>5}  operation"]
    for label in sorted(found.operations, key=lambda one: (one.split(" ")[1], one)):
        of = found.statuses[label]
        good, refused = (sum(count for status, count in of.items() if status // 100 == kind) for kind in (2, 4))
        lines.append(f"{of.total():6} {_share(good, of.total())} {_share(refused, of.total())}  {label}")
    phases = ", ".join(f"{count} {name}" for name, count in found.phases.most_common())
    lines.append(f"{found.chains} chains, {found.followed} links followed")
    lines.append(f"{found.cases} calls ({phases}) in {found.seconds:.0f} s: {len(found.succeeded)} of")
    lines[-1] += f" {len(found.operations)} operations had a 2xx; {len(found.wrong)} things wrong"
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:4.0f}%" if whole else "    -"
