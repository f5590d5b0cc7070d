"""STE: try APIs out before they are needed, and show the calls that worked as examples.

Paper    Wang, Fang, Eisner, Van Durme, Su, "LLMs in the Imaginarium: Tool Learning through Simulated Trial and Error",
         ACL 2024, arXiv:2403.04746
Budget   tokens of the demonstrations in the prompt of a call
Differs  arguments are read as JSON first, the reference code's brace rule is only a repair; Yes and No are read from
         the first word, not found anywhere; paraphrases are judged again; results and remembered requests are quoted;
         the session has a number in the prompt; an episode is written to the bank whole; nothing is fine-tuned here
Axes     e episodes, s slots (requests of an episode), t turns (calls of a trial), k demonstrations, d dimensions

    tools = ToolSet.from_functions([forecast, add_date])
    with Bank("bank.sqlite") as bank:
        for trial in explore(tools, lm=explorer, bank=bank): ...       # imagine, call, look back; can be stopped
        filtered(bank, tools, judge=judge)                             # three questions about every finished trial
        paraphrased(bank, tools, lm=explorer, judge=judge)             # about 150 examples of every tool
        agent = ToolCaller(tools, lm=small, budget="800 tokens", demos=Demonstrations.of(bank, embedder))
        agent("What is the date 90 days after 2022-10-14?")            # Call(name, args, ...)
        to_sft(bank.examples(), "train.jsonl")                         # or the same as a fine-tuning set
"""

from mnemic.context.ste.bank import Bank, Example, Step, Trial
from mnemic.context.ste.caller import Call, Demonstrations, OracleTools, ToolCaller
from mnemic.context.ste.evaluating import Item, Report, evaluate, judge_match, same_result, string_match
from mnemic.context.ste.exploring import Settings, execute, explore, not_executed
from mnemic.context.ste.judging import Kept, filtered, paraphrased, rounds
from mnemic.context.ste.parsing import Parsed, parse, snap
from mnemic.context.ste.tools import Tool, ToolSet
from mnemic.context.ste.training import continual, new_tokens, to_sft

__all__ = [
    "Bank", "Call", "Demonstrations", "Example", "Item", "Kept", "OracleTools", "Parsed", "Report", "Settings", "Step",
    "Tool", "ToolCaller", "ToolSet", "Trial", "continual", "evaluate", "execute", "explore", "filtered", "judge_match",
    "new_tokens", "not_executed", "paraphrased", "parse", "rounds", "same_result", "snap", "string_match", "to_sft",
]  # fmt: skip
