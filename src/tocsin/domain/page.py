"""A page of a collection, as the use cases take and return it (CONTRACT, section 2, "Collection envelope")."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Paging:
    """`after` and `before` are microseconds on createdAt, both inclusive; `descending` by createdAt."""

    page: int = 1
    limit: int = 10
    descending: bool = True
    after: int | None = None
    before: int | None = None

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`total` counts the whole collection, under its filters."""

    items: Sequence[T]
    total: int
    paging: Paging

    def map(self, function: Callable[[T], U]) -> "Page[U]":
        return Page([function(item) for item in self.items], self.total, self.paging)
