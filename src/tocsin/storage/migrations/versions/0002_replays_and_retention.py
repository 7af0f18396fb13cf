"""A replay's progress is read from its cursor; a webhook counts what retention took from it.

And it has an epoch, of what it is owed and where, besides the revision of everything.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("replays", "done")
    op.add_column("webhooks", sa.Column("epoch", sa.Integer(), server_default="0", nullable=False))
    op.add_column("webhooks", sa.Column("lost", sa.BigInteger(), server_default="0", nullable=False))
