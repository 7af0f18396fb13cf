"""The state machines as Mermaid diagrams, drawn from the tables. The docs hold what this draws; a test compares."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from tocsin.domain.states import FEEDBACK, OPERATION, REASSIGN, REPORT

State = TypeVar("State", bound=StrEnum)
Transition = TypeVar("Transition", bound=StrEnum)


def diagram(table: Mapping[State, Mapping[Transition, State]]) -> str:
    """One machine: it begins in the first state, and ends in those without a way out."""
    first = next(iter(table))
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {state} --> {entered}: {name}" for state, row in table.items() for name, entered in row.items()]
    lines += [f"    {state} --> [*]" for state, row in table.items() if not row]
    return "\n".join(lines)


def page() -> str:
    """docs/reference/states.md, whole."""
    moves = "\n".join(f"| {before} | {after} |" for before, after in REASSIGN.items())
    return f"""# States

Drawn from the tables in `src/tocsin/domain/states.py`.

## Report

A report closes only when each of its operations is RESOLVED or REFUSED. When one feedback made reports for several
organizations, the first to accept settles it: the others' reports that are still NEW are refused.

```mermaid
{diagram(REPORT)}
```

## Operation

`assign` names a member with the role OPERATOR or ADMIN (`POST /operations/{{operation}}/assign`); `reset` clears the
operator.

```mermaid
{diagram(OPERATION)}
```

Given to somebody else, an operation goes on like this; an unchanged state is no event:

| state | after |
|---|---|
{moves}

## Feedback

Run by the service itself inside `POST /feedbacks/issues`, which answers with DELIVERED.

```mermaid
{diagram(FEEDBACK)}
```
"""
