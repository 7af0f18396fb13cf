"""Places are found by cells. Housekeeping gives them to those that are there already, a few at a time; until then such
a place is found by its bounding box. A place without an area has no cells yet: an older node beside makes such ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "place_cells",
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("fk_place_cells_place_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cell", "place_id", name=op.f("pk_place_cells")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_place_cells_place_id"), "place_cells", ["place_id"])
    op.add_column("places", sa.Column("area", sa.Float(), nullable=True))
    op.create_index("ix_places_nesting", "places", ["organization_id", "west", "east", "south", "north"])
    unindexed = sa.text("area IS NULL")
    op.create_index("ix_places_unindexed", "places", ["west"], sqlite_where=unindexed, postgresql_where=unindexed)
