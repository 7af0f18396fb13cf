"""The commands. `tocsin` and `python -m tocsin` are the same."""

from tocsin.cli.main import app

__all__ = ["app"]
