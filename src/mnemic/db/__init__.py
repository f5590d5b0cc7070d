"""Where a memory is kept: one SQLite file, its operation log and its migrations."""
