"""What an agent is told: one message per chunk, one prompt per question, worded for three kinds of agent.

Every prompt ends with a line "Question: ..." and a cue. `asked` gives back what stands between them: what a
retriever should search for, instead of the instruction that is the same for every question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mnemic.bench.memory_agent_bench.contexts import Question, Task

Kind = Literal["long_context", "rag", "agentic"]
MARK = "\n\nQuestion: "

# What the material is, in the words of the one who hands it over.
_MATERIAL: Mapping[str, str] = {
    "ruler_qa": "some documents",
    "longmemeval": "our earlier chats",
    "eventqa": "a part of a novel",
    "inserted": "a part of a diary",
    "icl": "sentences, each with the number of its class",
    "recsys": "conversations between people and a movie recommender",
    "infbench_sum": "a part of a book",
    "detective_qa": "a part of a detective story",
    "whole": "a part of a diary",
    "factconsolidation": "facts for the pool, each with its serial number",
}

_WHERE: Mapping[Kind, str] = {
    "long_context": "everything you were given above",
    "rag": "the memories shown above",
    "agentic": "your archival memory, which you search first",
}

_NEWEST = (
    "You keep a pool of numbered facts: {where}. A fact with a larger serial number is newer, and where two facts "
    "contradict each other only the newer one counts. Answer from the pool alone, never from what you know of the "
    "world, even when the pool says what is false there, and in as few words as you can. Example: the pool holds "
    '"4. The current president of France is Ana Duarte." and "9. The current president of France is Ben Costa."; '
    'asked who is the current president of France, you answer "Ben Costa".'
)

# Instruction, cue.
_QUERIES: Mapping[str, tuple[str, str]] = {
    "ruler_qa": ("Answer from {where}. Give the answer alone, without any other word.", "Answer:"),
    "inserted": ("Answer from {where}. Give the answer alone, without any other word.", "Answer:"),
    "longmemeval": ("Answer from {where}. Be as short as you can; a single phrase is best.", "Answer:"),
    "eventqa": (
        "Several events may come next. Judging by {where}, repeat word for word the one that really does, and "
        "nothing else.",
        "Next comes:",
    ),
    "icl": (
        "The numbers of the classes are to be learned from {where}. Say which one the sentence belongs to. Write "
        '"label: " and the number, nothing else.',
        "label:",
    ),
    "recsys": (
        "You recommend movies, as in the conversations of {where}. Read the new conversation and give 20 titles as "
        "a numbered list, one a line, best first, nothing else.",
        "Recommendations:",
    ),
    "infbench_sum": (
        "Summarise the book, going by {where}. Tell the plot and the people in 1,000 to 1,200 words.",
        "Summary:",
    ),
    "detective_qa": ("Answer from {where}, in exactly the form that the question asks for.", "Answer:"),
    "whole": (
        "The question is about the whole diary; go by {where}. Give a number, a name, or a list separated by "
        "semicolons, nothing else.",
        "Answer:",
    ),
    "factconsolidation": (_NEWEST, "Answer:"),
}

SYSTEM = "You have a memory: you are handed material piece by piece and asked about it later."


def memorise(task: Task, chunk: str, when: str = "") -> str:
    """The message that hands a chunk over: the user gives it, the assistant acknowledges."""
    stamp = f" on {when}" if when else ""
    return (
        f"Conversation{stamp}.\nUser: Please remember {_MATERIAL[task.name]}:\n{chunk}\n"
        "Assistant: I keep it and will answer questions about it."
    )


def query(task: Task, kind: Kind, question: Question) -> str:
    """The prompt of a question for an agent of a kind."""
    instruction, cue = _QUERIES[task.name]
    asked_on = f"(asked on {question.extra['date']}) " if question.extra.get("date") else ""
    return f"{instruction.format(where=_WHERE[kind])}{MARK}{asked_on}{question.text}\n\n{cue}"


def asked(prompt: str) -> str:
    """What stands between the mark and the cue; the whole prompt when it has no mark."""
    _, mark, rest = prompt.partition(MARK)
    return rest.rpartition("\n\n")[0] if mark else prompt
