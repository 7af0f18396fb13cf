"""Partners, who holds a report besides its owner, what people are to be told of, mails, and erasures."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
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
    mail()
    erasure()


KINDS = (
    "reportCreated", "reportDelegated", "operationAssigned", "webhookDisabled", "passwordRequested", "passwordChanged",
)  # fmt: skip


def mail() -> None:
    language = sa.Column("language", sa.Text(), nullable=True)
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("people", language)
        op.create_check_constraint("language", "people", "language IN ('fr-FR', 'en-US')")
    else:
        op.execute(
            "ALTER TABLE people ADD COLUMN language TEXT"
            " CONSTRAINT ck_people_language CHECK (language IN ('fr-FR', 'en-US'))"
        )
    op.add_column("password_links", sa.Column("created_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_password_links_person_id"), "password_links", ["person_id"])
    identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "notices",
        sa.Column("id", identity, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(f"kind IN ({kinds})", name=op.f("ck_notices_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_table(
        "mails",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(f"kind IN ({kinds})", name=op.f("ck_mails_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index(op.f("ix_mails_next_attempt_at"), "mails", ["next_attempt_at"])


def erasure() -> None:
    for table in ("people", "events"):
        op.add_column(table, sa.Column("erased_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "erasures",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("events", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_erasures_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
