"""`tocsin doctor`: a line for each finding, or JSON for programs."""

import asyncio
from collections.abc import Sequence
from typing import Final

import typer

from tocsin import app
from tocsin.domain.diagnosis import Finding, Severity, worst
from tocsin.hal.encoding import encode
from tocsin.log import plain
from tocsin.settings import Settings

COLOURS: Final = {
    Severity.WELL: typer.colors.GREEN,
    Severity.WARNING: typer.colors.YELLOW,
    Severity.SEVERE: typer.colors.RED,
}


def examine(settings: Settings, *, as_json: bool) -> bool:
    """Print what was found; returns whether nothing of it is severe."""
    findings = asyncio.run(_examine(settings))
    if as_json:
        typer.echo(encode({"severity": worst(findings), "findings": [_members(one) for one in findings]}).decode())
    else:
        for one in findings:
            typer.echo(_line(one))
    return worst(findings) is not Severity.SEVERE


async def _examine(settings: Settings) -> Sequence[Finding]:
    async with app.open_diagnosis(settings) as diagnosis:
        return await diagnosis.run()


def _members(one: Finding) -> dict[str, str]:
    return {"check": one.check, "severity": one.severity.value, "found": one.found, "advice": one.advice}


def _line(one: Finding) -> str:
    severity = typer.style(f"{one.severity.value:<8}", fg=COLOURS[one.severity])
    return f"{severity} {one.check:<13} {plain(one.found)}" + (f" -> {plain(one.advice)}" if one.advice else "")
