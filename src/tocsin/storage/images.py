"""Images: their rows. A resource's own row says which are its images; what nobody names any more is removed with it."""

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


async def insert(
    tx: Writing, image_id: str, resource_type: str, resource_id: str, *, picture: Picture, actor: str, now: int
) -> None:
    await tx.insert(
        images,
        {
            "id": image_id,
            "resource_type": resource_type,
            "resource_id": resource_id,
            "actor": actor,
            "media_type": picture.media_type.value,
            "width": picture.width,
            "height": picture.height,
            "content": picture.content,
            "created_at": now,
        },
    )


async def replace(
    tx: Writing,
    resource_type: str,
    resource_id: str,
    image_id: str | None,
    picture: Picture | None,
    actor: str,
    now: int,
) -> None:
    """The only image of a resource, or none. Its row must name `image_id` already: that is what locks it."""
    await tx.execute(_REMOVE_OF, resource_id=resource_id)
    if image_id is not None and picture is not None:
        await insert(tx, image_id, resource_type, resource_id, picture=picture, actor=actor, now=now)


async def find(tx: Reading, image_id: str) -> Picture | None:
    row = await tx.row(_PICTURE, id=image_id)
    return None if row is None else Picture(MediaType(row["media_type"]), row["content"], row["width"], row["height"])


async def remove(tx: Writing, image_id: str) -> None:
    await tx.execute(_REMOVE, id=image_id)


async def remove_of(tx: Writing, resource_id: str) -> None:
    """Every image of a resource."""
    await tx.execute(_REMOVE_OF, resource_id=resource_id)
