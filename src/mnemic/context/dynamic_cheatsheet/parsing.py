"""Reading what a model wrote: its final answer, and the cheatsheet inside a curator's reply."""

from __future__ import annotations

import re

NO_ANSWER = "No final answer found"

_OPEN, _CLOSE = "<cheatsheet>", "</cheatsheet>"
_QUOTED = re.compile(r"(```|''')(.*?)\1", re.DOTALL)


def final_answer(transcript: str) -> str:
    """What stands in the last closed <answer>; else in an open one; else quoted after FINAL ANSWER; else NO_ANSWER.

    Models like to add that the answer is "wrapped in <answer> tags", which is no answer. One that is never closed
    counts to the end: the token limit often hits just there.
    """
    end = transcript.rfind("</answer>")
    start = transcript.rfind("<answer>", 0, end if end >= 0 else None)
    if start >= 0:
        return transcript[start + len("<answer>") : end if end >= 0 else None].strip()
    if "FINAL ANSWER" not in transcript:
        return NO_ANSWER
    quoted = _QUOTED.search(transcript.rsplit("FINAL ANSWER", 1)[1])
    if not quoted:
        return NO_ANSWER
    first, _, rest = quoted[2].strip().partition("\n")
    return rest.strip() if first.strip().lower() == "python" else quoted[2].strip()


def last_block(reply: str) -> tuple[str | None, str]:
    """The last complete cheatsheet of a reply, and why there is none.

    A first block is often the template, said again; one that is opened and not closed was cut by the token limit,
    and whatever stood before it is not what the curator meant to keep.
    """
    end = reply.rfind(_CLOSE)
    start = reply.rfind(_OPEN, 0, end) if end >= 0 else -1
    if reply.find(_OPEN, max(end, 0)) >= 0:
        return None, "the reply was cut off inside its <cheatsheet>"
    if start < 0:
        return None, "the reply holds no <cheatsheet>...</cheatsheet>"
    text = reply[start + len(_OPEN) : end].strip()
    return (text, "") if text else (None, "the reply's <cheatsheet> is empty")
