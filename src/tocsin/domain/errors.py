"""Every error that an operator or a caller can meet, in one tree.

    TocsinError
    ├── Invalid           the request is wrong: which fields, and why          400
    ├── Unauthenticated   no credential, or a bad or expired one               401
    ├── Forbidden         the caller may see the thing but not do this         403
    ├── NotFound          unknown, or not the caller's to know of              404
    ├── TooSlow           a body that does not come                            408
    ├── Conflict          the state of things forbids it                       409
    ├── Gone              pruned by age                                        410
    ├── PreconditionFailed  If-Match names another version                     412
    ├── TooLarge          a body over its limit                                413
    ├── UnsupportedMediaType  not JSON                                         415
    ├── KeyReused         an Idempotency-Key of another request                422
    ├── TooManyRequests   over a rate limit (retry after seconds)              429
    └── Unavailable       the service can't answer now (retry after seconds)   503

The numbers are what `api.errors`, and only it, makes of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: `path` is the property's name, dotted where nested (`geo.point.latitude`)."""

    path: str
    message: str


class TocsinError(Exception):
    """Something that a caller did or met; its text is fit to be shown."""


class Invalid(TocsinError):
    """The request is wrong; each violation names a field and says why."""

    def __init__(self, *violations: Violation) -> None:
        assert violations, "an Invalid names at least one violation"
        super().__init__("; ".join(f"{v.path}: {v.message}" for v in violations))
        self.violations = violations


class Unauthenticated(TocsinError):
    """No credential, or one that is bad or expired."""


class Forbidden(TocsinError):
    """The caller may see the thing but not do this with it."""


class NotFound(TocsinError):
    """Unknown, or not the caller's to know of: the two are told alike."""


class Conflict(TocsinError):
    """The state of things forbids it; `path` names the field that asked, if one did."""

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class Gone(TocsinError):
    """What was asked for was pruned by age; `oldest` is the first sequence that is left."""

    def __init__(self, message: str, oldest: int) -> None:
        super().__init__(message)
        self.oldest = oldest


class PreconditionFailed(TocsinError):
    """The resource is not in the version that If-Match names."""


class TooSlow(TocsinError):
    """A request body that does not come."""


class TooLarge(TocsinError):
    """A request body over its limit, or the member of one that `path` names."""

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class UnsupportedMediaType(TocsinError):
    """A request body that is not JSON."""


class KeyReused(TocsinError):
    """The Idempotency-Key belongs to another request of the same caller."""


class TooManyRequests(TocsinError):
    """Over a rate limit: `quota` in `window_seconds`; there is room again after `retry_after_seconds`."""

    def __init__(self, message: str, *, limit: str, quota: int, window_seconds: int, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.quota = quota
        self.window_seconds = window_seconds
        self.retry_after_seconds = retry_after_seconds


class Unavailable(TocsinError):
    """The service can't answer now; asking again after `retry_after_seconds` may help."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
