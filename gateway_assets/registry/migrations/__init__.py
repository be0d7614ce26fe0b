"""Migrations of the registry, applied by ``registry.upgrade``. A released one is never changed.

``env``       how Alembic applies them: all of an upgrade in one transaction
``versions``  one file a change
"""
