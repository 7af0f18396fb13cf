"""Errors as vnd.error (CONTRACT, section 2, "Errors")."""

from collections.abc import Sequence
from typing import Any, Final

from tocsin.domain.errors import Violation
from tocsin.hal.encoding import encode

CONTEXT: Final = "https://github.com/blongden/vnd.error"


def error_body(message: str, *, path: str | None = None, oldest: int | None = None) -> bytes:
    """One error; `path` names the field that caused it, if one did; `oldest`: the first sequence that is left."""
    body: dict[str, Any] = {"@context": CONTEXT, "@type": "Error", "message": message}
    if path is not None:
        body["path"] = path
    if oldest is not None:
        body["oldest"] = oldest
    return encode(body)


def validation_error_body(violations: Sequence[Violation], message: str = "Validation failed.") -> bytes:
    """Every wrong field with its path."""
    errors = [{"@context": CONTEXT, "@type": "Error", "message": one.message, "path": one.path} for one in violations]
    return encode(
        {
            "@context": CONTEXT,
            "@type": "ValidationError",
            "message": message,
            "total": len(errors),
            "_embedded": {"errors": errors},
        }
    )
