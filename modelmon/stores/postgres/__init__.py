"""PostgreSQL as a store: what awaits labels for weeks, shared by many hosts; needs ``modelmon[postgres]``."""

from modelmon.stores.postgres.database import PostgresDatabase

__all__ = ["PostgresDatabase"]
