"""API keys: who may call the service. Of a key's secret only the hash is here."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _id(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _moment(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True))


def upgrade() -> None:
    op.create_table(
        "api_keys",
        *(_id(name) for name in ("key_id", "dataset", "name")),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("expires_at"),
        _moment("revoked_at"),
        sa.Column("revoked_by", sa.Text),
        _moment("last_used_at"),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_index(
        "ix_api_keys_name", "api_keys", ["dataset", "name"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )


def downgrade() -> None:
    op.drop_table("api_keys")
