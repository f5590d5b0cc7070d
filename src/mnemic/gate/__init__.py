"""A capability gate: what a memory from an untrusted source can never do is call a tool or change what you trust.

gate = Gate("Mail ana@example.org what the tram costs.", [Grant("send_mail", {"to": REQUEST, "body": FREE})])
acted = gate.act(memory, lm, [Action(send_mail_tool, send_mail)])
acted.done, acted.refused

What may be done is settled from the person's request, before any memory is read. Words are not judged: a call passes
because the request grants it, whatever the memories say. After CaMeL (Debenedetti et al., "Defeating Prompt Injections
by Design", 2025, arXiv:2503.18813) and Willison's dual LLM pattern (2023); docs/security-of-memories.md says what this
protects from whom, and what not.
"""

from mnemic.gate.actions import Action, Write, memory_actions
from mnemic.gate.agent import Acted, Done
from mnemic.gate.grants import FREE, REQUEST, TRUSTED, Gate, Grant, OneOf, Origin, Refusal, Seen
from mnemic.gate.planning import planned
from mnemic.gate.trust import PERSON, UNTRUSTED, Level, Trust, Watched
from mnemic.gate.writes import Guarded, Refused, Sifted, checked, sift

__all__ = [
    "FREE", "PERSON", "REQUEST", "TRUSTED", "UNTRUSTED", "Acted", "Action", "Done", "Gate", "Grant", "Guarded", "Level",
    "OneOf", "Origin", "Refusal", "Refused", "Seen", "Sifted", "Trust", "Watched", "Write", "checked",
    "memory_actions", "planned", "sift",
]  # fmt: skip
