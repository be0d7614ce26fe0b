"""Triggers, views, and what PostgreSQL does for those who write SQL of their own."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

TOUCHED = ("devices", "tags", "alert_rules", "driver_configs", "users", "notification_configs")

# Tags and alerts are counted before they are joined: joined first, each tag would count each alert.
DEVICE_OVERVIEW = """
CREATE VIEW device_overview AS
SELECT
    d.id, d.name, d.description, d.protocol, d.location, d.status, d.last_seen, d.enabled,
    coalesce(t.tag_count, 0) AS tag_count,
    coalesce(t.enabled_tag_count, 0) AS enabled_tag_count,
    coalesce(a.active_alert_count, 0) AS active_alert_count,
    coalesce(a.unacknowledged_alert_count, 0) AS unacknowledged_alert_count
FROM devices d
LEFT JOIN (
    SELECT device_id, count(*) AS tag_count,
           sum(CASE WHEN enabled THEN 1 ELSE 0 END) AS enabled_tag_count
    FROM tags WHERE deleted_at IS NULL GROUP BY device_id
) t ON t.device_id = d.id
LEFT JOIN (
    SELECT device_id, count(*) AS active_alert_count,
           sum(CASE WHEN acknowledged_at IS NULL THEN 1 ELSE 0 END) AS unacknowledged_alert_count
    FROM alert_history WHERE resolved_at IS NULL GROUP BY device_id
) a ON a.device_id = d.id
WHERE d.deleted_at IS NULL
"""

ALERT_STATISTICS = """
CREATE VIEW alert_statistics AS
SELECT
    {hour} AS hour, level, count(*) AS alert_count,
    sum(CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END) AS active_count,
    sum(CASE WHEN resolved_at IS NOT NULL THEN 1 ELSE 0 END) AS resolved_count,
    avg(duration) / 1000.0 AS avg_duration_seconds
FROM alert_history
WHERE fired_at >= {a_day_ago}
GROUP BY {hour}, level
"""

POSTGRES = (
    """
    CREATE FUNCTION update_updated_at_column() RETURNS trigger AS $$
    BEGIN
        NEW.updated_at = now();
        RETURN NEW;
    END;
    $$ LANGUAGE plpgsql
    """,
    *(
        f"CREATE TRIGGER update_{table}_updated_at BEFORE UPDATE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"
        for table in TOUCHED
    ),
    """
    CREATE FUNCTION update_device_status(
        device_uuid uuid, new_status device_status, last_seen_time timestamptz DEFAULT now()
    ) RETURNS void AS $$
    BEGIN
        UPDATE devices
        SET status = new_status, last_seen = greatest(last_seen, last_seen_time)
        WHERE id = device_uuid AND deleted_at IS NULL;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING MESSAGE = 'there is no device ' || device_uuid;
        END IF;
    END;
    $$ LANGUAGE plpgsql
    """,
    """
    CREATE FUNCTION audit_logs_are_appended() RETURNS trigger AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.created_at < now() - interval '1 day' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit_logs is only appended to';
    END;
    $$ LANGUAGE plpgsql
    """,
    """
    CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_are_appended()
    """,
    DEVICE_OVERVIEW,
    ALERT_STATISTICS.format(
        hour="date_trunc('hour', fired_at)", a_day_ago="now() - interval '24 hours'"
    ),
    "CREATE INDEX idx_devices_config_gin ON devices USING gin (config)",
    *(
        f"ALTER TABLE {table} ALTER COLUMN id SET DEFAULT gen_random_uuid()"
        for table in ("devices", "tags", "alert_rules", "driver_configs", "users")
    ),
    *(
        f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT now()"
        for table in TOUCHED
        for column in ("created_at", "updated_at")
    ),
    *(
        f"ALTER TABLE {table} ALTER COLUMN enabled SET DEFAULT true"
        for table in ("devices", "tags", "alert_rules", "driver_configs")
    ),
    "ALTER TABLE devices ALTER COLUMN config SET DEFAULT '{}'",
    "ALTER TABLE devices ALTER COLUMN status SET DEFAULT 'Unknown'",
    "ALTER TABLE tags ALTER COLUMN scaling SET DEFAULT 1",
    "ALTER TABLE tags ALTER COLUMN tag_offset SET DEFAULT 0",
    "ALTER TABLE tags ALTER COLUMN access_type SET DEFAULT 'Read'",
)

_NOW = "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'"
_DAY_AGO = "strftime('%Y-%m-%dT%H:%M:%f', 'now', '-1 day') || '000Z'"

SQLITE = (
    # Only where the statement has left it as it was: a program's own time is not overwritten.
    *(
        f"CREATE TRIGGER update_{table}_updated_at AFTER UPDATE ON {table}"
        " WHEN NEW.updated_at IS OLD.updated_at"
        f" BEGIN UPDATE {table} SET updated_at = {_NOW} WHERE id = NEW.id; END"
        for table in TOUCHED
    ),
    """
    CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
    BEGIN SELECT raise(ABORT, 'audit_logs is only appended to'); END
    """,
    f"""
    CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
    WHEN OLD.created_at >= {_DAY_AGO}
    BEGIN SELECT raise(ABORT, 'audit_logs is only appended to'); END
    """,
    DEVICE_OVERVIEW,
    ALERT_STATISTICS.format(hour="substr(fired_at, 1, 13) || ':00:00Z'", a_day_ago=_DAY_AGO),
)


def upgrade() -> None:
    is_postgres = op.get_context().dialect.name == "postgresql"
    connection = op.get_bind()
    for statement in POSTGRES if is_postgres else SQLITE:
        connection.exec_driver_sql(statement)
