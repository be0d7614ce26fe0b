"""How a device is doing is no change of it: ``updated_at`` stays, so that nobody reads rules again
because points come. The audit is not emptied in PostgreSQL by TRUNCATE, which asks no trigger of
rows.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

TOUCHING = (
    "id, name, description, protocol, location, endpoint, config, enabled, created_by, updated_by,"
    " created_at, deleted_at"
)

_NOW = "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'"

POSTGRES = (
    "DROP TRIGGER update_devices_updated_at ON devices",
    f"""
    CREATE TRIGGER update_devices_updated_at BEFORE UPDATE OF {TOUCHING} ON devices
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()
    """,
    """
    CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_are_appended()
    """,
)

SQLITE = (
    "DROP TRIGGER update_devices_updated_at",
    f"""
    CREATE TRIGGER update_devices_updated_at AFTER UPDATE OF {TOUCHING} ON devices
    WHEN NEW.updated_at IS OLD.updated_at
    BEGIN UPDATE devices SET updated_at = {_NOW} WHERE id = NEW.id; END
    """,
)


def upgrade() -> None:
    is_postgres = op.get_context().dialect.name == "postgresql"
    connection = op.get_bind()
    for statement in POSTGRES if is_postgres else SQLITE:
        connection.exec_driver_sql(statement)
