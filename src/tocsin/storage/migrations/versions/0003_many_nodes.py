"""For many nodes: chores that one of them does, fewer indexes on what changes all the time, and, on PostgreSQL, room on
its pages and attempts partitioned by the day (UTC) of `started_at`.

No release ran on PostgreSQL before: there its attempts are empty, and simply made anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HOT = ("endpoints", "heads", "logs", "webhooks")
"""Tables whose rows change with every delivery or event."""


def upgrade() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )
    op.execute("INSERT INTO chores (name, begun_at) VALUES ('housekeeping', 0)")
    op.drop_index("ix_endpoints_lease_owner", "endpoints")
    op.drop_index("ix_endpoints_due", "endpoints")
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_endpoints_due", "endpoints", ["due_at"], sqlite_where=due, postgresql_where=due)
    if op.get_bind().dialect.name == "postgresql":
        for table in HOT:
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
        partition_attempts()


def partition_attempts() -> None:
    op.drop_table("attempts")
    op.execute("CREATE SEQUENCE attempts_id_seq")
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger(), server_default=sa.text("nextval('attempts_id_seq')"), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("replay_id", sa.Text(), server_default="", nullable=False),
        sa.Column("delivered", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("resolve_us", sa.Integer(), nullable=True),
        sa.Column("connect_us", sa.Integer(), nullable=True),
        sa.Column("tls_us", sa.Integer(), nullable=True),
        sa.Column("first_byte_us", sa.Integer(), nullable=True),
        sa.Column("total_us", sa.Integer(), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=True),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.execute("ALTER SEQUENCE attempts_id_seq OWNED BY attempts.id")
    op.create_index("ix_attempts_delivery", "attempts", ["webhook_id", "sequence"])
