"""The same memory on PostgreSQL with pgvector: many machines, many writers.

What the database does: it keeps rows and log as the file does, holds the inverted index and finds near vectors, keeps
spaces apart by row-level security. What stays in the process: 50 bytes a record (see recall/columns.py), and the
scores that are made of what the database found.
"""

from __future__ import annotations

from mnemic.db.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
