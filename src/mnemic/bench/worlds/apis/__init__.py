"""A world of sixteen local APIs whose documentation and behaviour differ on purpose, with requests to fulfil.

tools = tool_set()                    for anything that explores or calls tools (mnemic.context.ste)
items = held_out(seed)                held-out requests with the call that works; words and values of their own
world = ApiWorld(items[0])            the same as a text world: one request, calls as commands

A call is right when executing it gives what the right call gives. Requests of the test set share neither template nor
value with those that the explorer of `scripted` imagines; only closed sets (economy, business, ...) are the same.
"""

from mnemic.bench.worlds.apis.api import Api, Slot
from mnemic.bench.worlds.apis.functions import APIS
from mnemic.bench.worlds.apis.requests import Asked, bound, held_out, pattern_of, patterns, request, tool_set
from mnemic.bench.worlds.apis.world import ApiWorld

__all__ = [
    "APIS",
    "Api",
    "ApiWorld",
    "Asked",
    "Slot",
    "bound",
    "held_out",
    "pattern_of",
    "patterns",
    "request",
    "tool_set",
]  # fmt: skip
