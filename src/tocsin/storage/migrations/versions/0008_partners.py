"""Partners of organizations, and who holds a report besides its owner."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "relationships",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_relationships_organization_id")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["organizations.id"], name=op.f("fk_relationships_partner_id")),
        sa.PrimaryKeyConstraint("organization_id", "partner_id", name=op.f("pk_relationships")),
    )
    op.create_table(
        "delegations",
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("delegated_from", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_delegations_report_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_delegations_organization_id")),
        sa.ForeignKeyConstraint(["delegated_from"], ["organizations.id"], name=op.f("fk_delegations_delegated_from")),
        sa.PrimaryKeyConstraint("report_id", "organization_id", name=op.f("pk_delegations")),
    )
    op.create_index(op.f("ix_delegations_organization_id_report_id"), "delegations", ["organization_id", "report_id"])
