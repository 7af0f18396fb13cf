"""What `tocsin doctor` finds: for each check one line, of what is so and, where that is not well, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is."""

    WELL = "well"
    WARNING = "warning"
    """It works, and may not tomorrow."""
    SEVERE = "severe"
    """Something does not work, what was acknowledged can be lost, or a secret lies open."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` is empty where all is well."""

    check: str
    severity: Severity
    found: str
    advice: str = ""


def well(check: str, found: str) -> Finding:
    return Finding(check, Severity.WELL, found)


def warning(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Severity.WARNING, found, advice)


def severe(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Severity.SEVERE, found, advice)


def worst(findings: Iterable[Finding]) -> Severity:
    found = {one.severity for one in findings}
    return max(found, key=list(Severity).index, default=Severity.WELL)
