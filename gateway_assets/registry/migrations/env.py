"""How Alembic applies migrations: on the connection that it is given, in its transaction."""

from __future__ import annotations

from alembic import context

from gateway_assets.registry import alerts, devices, users
from gateway_assets.registry.model import Model

TABLES = (devices, alerts, users)  # importing them fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    compare_type=True,
    render_as_batch=False,
    user_module_prefix="types.",
)
with context.begin_transaction():
    context.run_migrations()
