"""Images, comments, contributions, and the log of what was done to an operation."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for table in ("feedbacks", "operations"):
        op.add_column(table, sa.Column("images", sa.Text(), server_default="[]", nullable=False))
    op.add_column("people", sa.Column("image_id", sa.Text(), nullable=True))
    op.add_column("organizations", sa.Column("logo_id", sa.Text(), nullable=True))
    op.create_table(
        "images",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    op.create_index(op.f("ix_images_resource_id"), "images", ["resource_id"])
    op.create_table(
        "comments",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_resource_id_id"), "comments", ["resource_id", "id"])
    op.create_table(
        "contributions",
        sa.Column("feedback_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["feedback_id"], ["feedbacks.id"], name=op.f("fk_contributions_feedback_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_contributions_person_id")),
        sa.PrimaryKeyConstraint("feedback_id", "person_id", name=op.f("pk_contributions")),
    )
    op.create_index(op.f("ix_contributions_feedback_id_created_at"), "contributions", ["feedback_id", "created_at"])
    op.create_table(
        "operation_logs",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation_logs")),
        sa.UniqueConstraint("operation_id", "version", name=op.f("uq_operation_logs_operation_id_version")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE images ALTER COLUMN content SET STORAGE EXTERNAL")  # compressed already
