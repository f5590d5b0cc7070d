"""ReMem: think, prune what was retrieved, then act; the step ends at the first action."""

from __future__ import annotations

from mnemic.record import Outcome
from mnemic.store.evo_memory.agents import ExpRAG, Turn
from mnemic.store.evo_memory.attempts import Attempt, Feedback
from mnemic.store.evo_memory.outputs import Said, places


class ReMem(ExpRAG):
    """ExpRAG whose agent may also think, and prune what was retrieved before it acts.

    Pruning works on two levels: on what is shown for the task at hand, always; and on the memory itself when it was
    opened with `drop_when`: what is pruned in so large a share of its retrievals leaves it, with a line in the log.
    """

    name = "ReMem"
    inner = ("think", "prune")

    def noted(self, turn: Turn, said: Said) -> str:
        if said.op != "prune":
            return super().noted(turn, said)
        return f"prune: {self._pruned(turn, said)}"

    def evolve(self, attempt: Attempt, feedback: Feedback) -> Outcome:
        """Append, then count what was pruned; what `drop_when` lets go stands in the log."""
        self.pool.note([found.id for found in attempt.retrieved], attempt.pruned)
        return super().evolve(attempt, feedback)

    def _pruned(self, turn: Turn, said: Said) -> str:
        """Drop by place in the list as it is shown now; what stays is numbered anew."""
        out = [turn.shown[place - 1] for place in places(said.arg, len(turn.shown)) or ()]
        turn.pruned += [found.id for found in out]
        turn.shown = [found for found in turn.shown if found not in out]
        turn.section = self.synthesis(turn.shown)
        if not out:
            return f"nothing was taken out, {len(turn.shown)} experiences are shown"
        return f"{len(out)} taken out, the {len(turn.shown)} that stay are numbered anew"
