"""Alembic runs this file. It works on the connection that `tallystick.storage.migrations` hands it, and opens none."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=context.config.attributes["schema"],
    transactional_ddl=True,  # both databases roll a failed migration back whole
)
with context.begin_transaction():
    context.run_migrations()
