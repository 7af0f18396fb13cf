"""Business activities, categories and places: what feedback is matched by."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from tocsin.domain import geometry
from tocsin.domain.business_activities import SEEDED
from tocsin.domain.errors import Conflict, Forbidden, NotFound
from tocsin.domain.nesting import Area, put_in, taken_out
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import BusinessActivity, Category, Place
from tocsin.domain.roles import Permission
from tocsin.domain.wanted import OrganizationsWanted, PlacesWanted
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.storage import organizations, place_index, places
from tocsin.storage.collections import search
from tocsin.storage.directory_lists import activities_of, organizations_are, places_are
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.schema import categories as categories_table

PLACES_MAX: Final = 10_000
"""Places of one organization: one that holds all the others can still get another shape in a second or two."""


class Directory:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def seed(self) -> None:
        """Put in the business activities that are missing, and the schemas that came later than their activities."""

        async def insert(tx: Writing) -> None:
            known = {one.id: one for one in await places.activities(tx)}
            for one in SEEDED:
                if one.id not in known:
                    await places.insert_activity(tx, one)
                elif not known[one.id].metadata_schema.get("properties"):
                    await places.set_schema(tx, one.id, one.metadata_schema)

        await self._context.storage.write(insert)

    async def business_activities(self, of: OrganizationsWanted | None = None) -> Sequence[BusinessActivity]:
        """All of them, or those of the organizations that are wanted."""
        async with self._context.storage.read() as tx:
            found = await places.activities(tx)
            if of is None or of == OrganizationsWanted():
                return found
            wanted = await activities_of(tx, of)
            return [one for one in found if one.id in wanted]

    async def business_activity(self, activity_id: str) -> BusinessActivity:
        async with self._context.storage.read() as tx:
            found = await places.find_activity(tx, activity_id)
        if found is None:
            raise NotFound("There is no such business activity.")
        return found

    # Categories

    async def create_category(self, caller: Caller, organization_id: str, members: dict[str, Any]) -> Category:
        async def insert(tx: Writing) -> Category:
            await _may(tx, caller, Permission.MANAGE_CATEGORIES, organization_id)
            now = self._context.clock.now()
            category = Category(
                id=self._context.new_id(), organization_id=organization_id, created_at=now, updated_at=now, **members
            )
            await places.insert_category(tx, category)
            return category

        return await self._context.storage.write(insert)

    async def category(self, category_id: str) -> Category:
        async with self._context.storage.read() as tx:
            return await _category(tx, category_id)

    async def change_category(self, caller: Caller, category_id: str, members: dict[str, Any]) -> Category:
        async def change(tx: Writing) -> Category:
            category = await _category(tx, category_id)
            await _may(tx, caller, Permission.MANAGE_CATEGORIES, category.organization_id)
            if not members:
                return category
            await tx.update(categories_table, category_id, {**members, "updated_at": self._context.clock.now()})
            return await _category(tx, category_id)

        return await self._context.storage.write(change)

    async def categories(
        self, of: OrganizationsWanted, wanted: dict[str, str | None], paging: Paging
    ) -> Page[Category]:
        async with self._context.storage.read() as tx:
            conditions = await organizations_are(tx, categories_table.c.organization_id, of)
            return await places.categories_page(tx, [*conditions, *search(categories_table, wanted)], paging)

    # Places

    async def create_place(
        self, caller: Caller, organization_id: str, rings: geometry.Rings, members: dict[str, Any]
    ) -> Place:
        """Nested by containment. Raises Conflict where the organization has PLACES_MAX already."""

        async def insert(tx: Writing) -> Place:
            await _may(tx, caller, Permission.MANAGE_PLACES, organization_id)
            await organizations.lock(tx, organization_id)
            if await places.places_count(tx, organization_id) >= PLACES_MAX:
                raise Conflict(f"An organization has at most {PLACES_MAX} places.")
            now = self._context.clock.now()
            place = Place(
                id=self._context.new_id(),
                organization_id=organization_id,
                rings=rings,
                created_at=now,
                updated_at=now,
                **members,
            )
            await places.insert_place(tx, place)
            await _put_in(tx, place)
            return await _place(tx, place.id)

        return await self._context.storage.write(insert)

    async def change_place(
        self, caller: Caller, place_id: str, rings: geometry.Rings | None, members: dict[str, Any]
    ) -> Place:
        """`rings`: a new shape, with which the place, what it held and what it holds now find their parents anew."""

        async def change(tx: Writing) -> Place:
            place = await _place(tx, place_id)
            await _may(tx, caller, Permission.MANAGE_PLACES, place.organization_id)
            if rings is None and not members:
                return place
            await organizations.lock(tx, place.organization_id)
            before = await _place(tx, place_id, lock=True)
            after = replace(before, updated_at=self._context.clock.now(), **members)
            if rings is None or rings == before.rings:
                await places.save_place(tx, after, shaped=False)
                return after
            await _take_out(tx, before)
            after = replace(after, rings=rings)
            await places.save_place(tx, after, shaped=True)
            await _put_in(tx, after)
            return await _place(tx, place_id)

        return await self._context.storage.write(change)

    async def place(self, place_id: str) -> Place:
        async with self._context.storage.read() as tx:
            return await _place(tx, place_id)

    async def places(self, wanted: PlacesWanted, paging: Paging) -> Page[Place]:
        async with self._context.storage.read() as tx:
            return await places.places_page(tx, await places_are(tx, wanted), paging)

    async def require_organization(self, organization_id: str) -> None:
        """Raises NotFound."""
        async with self._context.storage.read() as tx:
            await _organization(tx, organization_id)


async def _organization(tx: Reading, organization_id: str) -> None:
    if await organizations.find(tx, organization_id) is None:
        raise NotFound("There is no such organization.")


async def _category(tx: Reading, category_id: str) -> Category:
    category = await places.find_category(tx, category_id)
    if category is None:
        raise NotFound("There is no such category.")
    return category


async def _place(tx: Reading, place_id: str, *, lock: bool = False) -> Place:
    place = await places.find_place(tx, place_id, lock=lock)
    if place is None:
        raise NotFound("There is no such place.")
    return place


async def _take_out(tx: Writing, place: Place) -> None:
    """Give the places in it the parents that they have without it."""
    children = await place_index.children(tx, place.id)
    if children:
        larger = await place_index.larger(tx, place.organization_id, Area(place.id, place.rings))
        await place_index.set_parents(tx, await asyncio.to_thread(taken_out, children, larger))


async def _put_in(tx: Writing, place: Place) -> None:
    """Give it its parent, and itself to those that are in it and in nothing smaller."""
    one = Area(place.id, place.rings)
    around = await place_index.around(tx, place.organization_id, one)
    inside, ranks = await place_index.inside(tx, place.organization_id, one)
    await place_index.set_parents(tx, await asyncio.to_thread(put_in, one, around, inside, ranks))


async def _may(tx: Reading, caller: Caller, permission: Permission, organization_id: str) -> None:
    """Organizations are known to every caller, so that a stranger's refusal is Forbidden."""
    await _organization(tx, organization_id)
    if not caller.may(permission, organization_id):
        raise Forbidden("You don't have the right to do this.")
