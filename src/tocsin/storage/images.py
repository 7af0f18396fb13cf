"""Images: their rows. A resource's own row says which are its images; what nobody names any more is removed with it."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from tocsin.domain.picture_files import MediaType
from tocsin.domain.pictures import Picture
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.schema import images
from tocsin.storage.statements import Query

_PICTURE = Query(
    select(images.c.media_type, images.c.content, images.c.width, images.c.height).where(images.c.id == bindparam("id"))
)
_REMOVE = Query(delete(images).where(images.c.id == bindparam("id")))
_REMOVE_OF = Query(delete(images).where(images.c.resource_id == bindparam("resource_id")))


@dataclass(frozen=True, slots=True)
class NewImage:
    """`actor`: person:<id>, token:<id> or operator."""

    id: str
    resource_type: str
    resource_id: str
    picture: Picture
    actor: str
    created_at: int


async def insert(tx: Writing, one: NewImage) -> None:
    await tx.insert(
        images,
        {
            "id": one.id,
            "resource_type": one.resource_type,
            "resource_id": one.resource_id,
            "actor": one.actor,
            "media_type": one.picture.media_type.value,
            "width": one.picture.width,
            "height": one.picture.height,
            "content": one.picture.content,
            "created_at": one.created_at,
        },
    )


async def replace(tx: Writing, resource_id: str, one: NewImage | None) -> None:
    """The only image of a resource, or none. The resource's row must name it already: that is what locks it."""
    await remove_of(tx, resource_id)
    if one is not None:
        await insert(tx, one)


async def find(tx: Reading, image_id: str) -> Picture | None:
    row = await tx.row(_PICTURE, id=image_id)
    return None if row is None else Picture(MediaType(row["media_type"]), row["content"], row["width"], row["height"])


async def remove(tx: Writing, image_id: str) -> None:
    await tx.execute(_REMOVE, id=image_id)


async def remove_of(tx: Writing, resource_id: str) -> None:
    """Every image of a resource."""
    await tx.execute(_REMOVE_OF, resource_id=resource_id)
