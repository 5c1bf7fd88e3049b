"""Alembic runs this for every command; the connection is given by who calls it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
