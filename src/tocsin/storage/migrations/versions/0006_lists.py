"""Lists: what they are narrowed by, beside what it is of, and indexes that have a list's order in them.

The columns are null in rows that are there already, and in those that an older node still makes: `storage.unfinished`
fills them in. The indexes are built after the migrations, on PostgreSQL without holding up writing (`storage.indexes`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedbacks", sa.Column("cell", sa.BigInteger(), nullable=True))
    op.add_column("reports", sa.Column("cell", sa.BigInteger(), nullable=True))
    op.add_column("reports", sa.Column("public", sa.Boolean(), nullable=True))
    op.add_column("reports", sa.Column("reporter_id", sa.Text(), nullable=True))
