"""Dynamic Cheatsheet: one text that a frozen model reads before, and rewrites after, every question of a stream.

Paper    Suzgun, Yuksekgonul, Bianchi, Jurafsky, Zou 2025, arXiv:2504.07952
Budget   tokens of the memory part of the generator's prompt: the cheatsheet, or the earlier questions with solutions
Differs  the last complete <cheatsheet> block counts, one that was cut off or is over the budget leaves the old memory;
         pairs beyond the budget are left out, the oldest or least similar first; code runs only with a runner of
         yours; memory and question stand between fences that they cannot end
Axes     n questions, k retrieved pairs, d dimensions of an embedding
"""

from mnemic.context.dynamic_cheatsheet.cheatsheet import DynamicCheatsheet, Settings
from mnemic.context.dynamic_cheatsheet.coding import FLAG, Run, Transcript
from mnemic.context.dynamic_cheatsheet.curating import Curation
from mnemic.context.dynamic_cheatsheet.parsing import NO_ANSWER, final_answer, last_block
from mnemic.context.dynamic_cheatsheet.prompts import EMPTY
from mnemic.context.dynamic_cheatsheet.retrieval import Pair
from mnemic.context.dynamic_cheatsheet.steps import Answered, Round
from mnemic.context.dynamic_cheatsheet.variants import VARIANTS

__all__ = [
    "EMPTY", "FLAG", "NO_ANSWER", "VARIANTS", "Answered", "Curation", "DynamicCheatsheet", "Pair", "Round", "Run",
    "Settings", "Transcript", "final_answer", "last_block",
]  # fmt: skip
