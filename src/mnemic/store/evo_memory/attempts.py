"""A task as an agent sees it, what it did, and how that was judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from mnemic.environment import Episode
from mnemic.store.evo_memory.experiences import Experience, Move
from mnemic.store.evo_memory.pool import Found

HELPERS = ("check valid actions", "inventory")


@dataclass(frozen=True)
class Brief:
    """What all tasks of a stream share: rules, and demonstrations that never change.

    helpers   commands that a world answers without doing anything
    """

    instructions: str
    demonstrations: tuple[str, ...] = ()
    helpers: tuple[str, ...] = HELPERS


@dataclass(frozen=True)
class Feedback:
    """What a judge says of an attempt. Never the right answer: that would make the memory a look-up table.

    progress  share of sub-goals reached; of a task of one turn, 1 or 0
    """

    success: bool
    progress: float | None = None


@dataclass
class Spent:
    """What an attempt cost so far, added up call by call."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unread: int = 0  # replies that kept no format


@dataclass(frozen=True)
class Attempt:
    """What an agent did with one task.

    goal        the goal of the world, or the question
    episode     the trajectory; None for a task of one turn
    answer      what was answered in one turn; `rationale` is what was said before it
    retrieved   what was found in memory, as it was first shown
    pruned      ids of those that were taken out before the end
    trace       the operations inside of every step, as "think: ...", "prune: ...", in order
    """

    goal: str
    episode: Episode | None = None
    answer: str = ""
    rationale: str = ""
    retrieved: tuple[Found, ...] = ()
    pruned: tuple[str, ...] = ()
    trace: tuple[tuple[str, ...], ...] = ()
    spent: Spent = field(default_factory=Spent)

    @property
    def score(self) -> float:
        """What a world says was reached; 0 for a task of one turn, whose judge stands outside."""
        return self.episode.score if self.episode else 0.0

    def judged(self, feedback: Feedback) -> Experience:
        """The experience that this attempt makes, once it is judged."""
        steps = self.episode.steps if self.episode else ()
        progress = feedback.progress if feedback.progress is not None else float(feedback.success)
        return Experience(
            goal=self.goal,
            moves=tuple(Move(step.action, step.observation.text) for step in steps),
            answer=self.answer,
            rationale=self.rationale,
            first=self.episode.first.text if self.episode else "",
            success=feedback.success,
            progress=progress,
            steps=max(1, len(steps)),
        )
