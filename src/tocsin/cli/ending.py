"""How commands end: errors that an operator can meet become one line on standard error and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from tocsin.domain.errors import TocsinError
from tocsin.service.vault import VaultError
from tocsin.settings import SettingsError

FAILED: Final = 1
WRONG_USAGE: Final = 2


@contextmanager
def ending() -> Iterator[None]:
    """Raises typer.Exit with the code, after saying why."""
    try:
        yield
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_USAGE) from None
    except (TocsinError, VaultError, OSError) as error:
        typer.echo(f"tocsin: {error}", err=True)
        raise typer.Exit(FAILED) from None
