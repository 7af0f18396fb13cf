"""Business activities, categories and places: what feedback is matched by."""

from collections.abc import Sequence
from typing import Any, Final

from tocsin.domain import geometry
from tocsin.domain.errors import Forbidden, NotFound
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import BusinessActivity, Category, Place
from tocsin.domain.roles import Permission
from tocsin.domain.wanted import OrganizationsWanted, PlacesWanted
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.storage import organizations, places
from tocsin.storage.collections import search
from tocsin.storage.directory_lists import activities_of, organizations_are, places_are
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.schema import categories as categories_table

SEEDED: Final = tuple(
    BusinessActivity(f"0190b6a0-0000-7000-8000-{number:012d}", name, alternate_name)
    for number, (name, alternate_name) in enumerate(
        (
            ("Buildings", "Bâtiments"),
            ("Green spaces", "Espaces verts"),
            ("Public lighting", "Éclairage public"),
            ("Roads", "Voirie"),
            ("Waste", "Déchets"),
            ("Water", "Eau"),
        ),
        start=1,
    )
)
"""What every installation begins with; their ids are the same everywhere."""


class Directory:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def seed(self) -> None:
        """Put in the business activities that are missing."""

        async def insert(tx: Writing) -> None:
            known = {one.id for one in await places.activities(tx)}
            for one in SEEDED:
                if one.id not in known:
                    await places.insert_activity(tx, one)

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
        """Nested by containment: in the smallest place of the organization that covers it, around those it covers."""

        async def insert(tx: Writing) -> Place:
            await _may(tx, caller, Permission.MANAGE_PLACES, organization_id)
            now = self._context.clock.now()
            near = await places.overlapping(tx, organization_id, rings)
            around = [one for one in near if geometry.covers(one.rings, rings)]
            parent = min(around, key=lambda one: geometry.area(one.rings), default=None)
            place = Place(
                id=self._context.new_id(),
                organization_id=organization_id,
                rings=rings,
                created_at=now,
                updated_at=now,
                contained_in_place_id=None if parent is None else parent.id,
                **members,
            )
            await places.insert_place(tx, place)
            siblings = [one for one in near if one.contained_in_place_id == place.contained_in_place_id]
            inside = [one.id for one in siblings if one not in around and geometry.covers(rings, one.rings)]
            if inside:
                await places.set_parent(tx, inside, place.id)
            return place

        return await self._context.storage.write(insert)

    async def place(self, place_id: str) -> Place:
        async with self._context.storage.read() as tx:
            found = await places.find_place(tx, place_id)
        if found is None:
            raise NotFound("There is no such place.")
        return found

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


async def _may(tx: Reading, caller: Caller, permission: Permission, organization_id: str) -> None:
    """Organizations are known to every caller, so that a stranger's refusal is Forbidden."""
    await _organization(tx, organization_id)
    if not caller.may(permission, organization_id):
        raise Forbidden("You don't have the right to do this.")
