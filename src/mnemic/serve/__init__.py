"""A memory for programs, agents, people and teams: HTTP, MCP and a page, from one process on one file.

settings.py   where it listens, on which memory, within which limits
access.py     principals, tokens, what they may
pool.py       the one way from a request to a memory, and the one place where access is enforced
http/         the HTTP API
"""

from mnemic.serve.access import Access, Denied, Principal, Session, Token
from mnemic.serve.pool import Pool
from mnemic.serve.rooms import Room
from mnemic.serve.settings import Limits, Settings

__all__ = ["Access", "Denied", "Limits", "Pool", "Principal", "Room", "Session", "Settings", "Token"]
