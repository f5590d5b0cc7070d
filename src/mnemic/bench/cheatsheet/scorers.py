"""Is an answer right? Computed, never judged; what a model wrote is parsed and never run.

A scorer takes the question, the answer and the target. Equations and Game of 24 need no target: any expression
that uses the numbers as asked and has the value is right.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

Scorer = Callable[[str, str, str], bool]  # question, answer, target

_LONGEST = 300  # characters of an expression: beyond it is no answer to these puzzles, and deep nests end recursion
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")"})
_NUMBER = re.compile(r"\d+")
_EQUATION = re.compile(r"\d+(?:\s*[-+*/]\s*\d+)+")
_PUNCTUATION = str.maketrans("", "", ',;:."')
_LETTER = re.compile(r"\(?([a-z])(?:\)|\.|:|\b)")
_LAST_LETTER = re.compile(r"(?:^|[\s(])([a-z])\)?\.?$")


class _NotArithmetic(ValueError):
    """Something other than whole numbers, + - * / and parentheses, or a division by zero."""


def value_of(expression: str) -> Fraction | None:
    """The exact value of an expression of whole numbers, + - * / and parentheses; None for anything else."""
    if len(expression) > _LONGEST:
        return None
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except (_NotArithmetic, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(left=left, op=sign, right=right):
            return _applied(sign, _value(left), _value(right))
    raise _NotArithmetic


def _applied(sign: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    match sign:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div() if right:
            return left / right
    raise _NotArithmetic


def balanced(question: str, answer: str, target: str = "") -> bool:
    """An equation whose operators were filled in: the same numbers in order, and the asked value to 1e-6.

    question   holds "27 ? 28 ? 6 = 5", the last of its kind counts
    answer     "27 - 28 + 6 = 5"; what stands behind the = is not looked at. Only + - * / are operators, as the task
               says: with × as one, Claude's recorded baseline would score 46.0 instead of the published 44.8
    """
    asked = blanks(question)
    left = answer.split("=")[0].strip()
    if asked is None or not _EQUATION.fullmatch(left):
        return False
    numbers, result = asked
    # Numbers as numbers: with the operators stripped "1 416" would pass for "14 16".
    if [int(number) for number in _NUMBER.findall(left)] != numbers:
        return False
    value = value_of(left)
    return value is not None and abs(value - result) < Fraction(1, 10**6)


def blanks(question: str) -> tuple[list[int], int] | None:
    """Numbers and result of the last "a ? b ? c = r" in a text; None when there is none."""
    found = re.findall(r"(\d+(?:\s*\?\s*\d+)+)\s*=\s*(-?\d+)", question)
    if not found:
        return None
    left, result = found[-1]
    return [int(number) for number in _NUMBER.findall(left)], int(result)


def makes_24(question: str, answer: str, target: str = "") -> bool:
    """An expression that has the value 24 (to 1e-3) and uses each of the question's numbers once.

    question   ends with the four numbers: "4 5 6 10"
    answer     "(10 - 4) * (5 + ...) = 24": one side, or nothing, may be the 24; a sentence is not taken apart
    """
    given = quadruple(question)
    if given is None:
        return False
    for side in answer.translate(_SIGNS).replace("x", "*").split("="):
        value = value_of(side)
        used = [int(number) for number in _NUMBER.findall(side)]
        if value is not None and abs(value - 24) < Fraction(1, 1000) and Counter(used) == Counter(given):
            return True
    return False


def quadruple(question: str) -> list[int] | None:
    """The last four numbers in a row of a text, as Game of 24 gives them."""
    found = re.findall(r"(?<![\d?=])\b\d+(?: +\d+){3}\b", question)
    return [int(number) for number in found[-1].split()] if found else None


def same_number(question: str, answer: str, target: str) -> bool:
    """AIME: the target itself, punctuation aside."""
    return " ".join(answer.translate(_PUNCTUATION).split()) == target.strip()


def same_option(question: str, answer: str, target: str) -> bool:
    """Multiple choice: the target's letter, or the text of its option inside the answer."""
    letter = target.lower().strip(" ()`.")[-1:]
    said = re.sub(r"[`*$]", "", answer.lower()).strip()
    if not letter or not said:
        return False
    named = _LETTER.match(said) if len(said) <= 2 or said.startswith("(") or said[1:2] in ").:" else None
    named = named or _LAST_LETTER.search(said)
    if named:
        return named[1] == letter
    text = option(question, letter)
    return bool(text) and text in said


def option(question: str, letter: str) -> str:
    """The text behind "(A)", "A)" or "A." at the start of a line, in small letters; the last one counts."""
    found = re.findall(rf"^\s*\(?{re.escape(letter)}[).]\s*(.+)$", question.lower(), re.MULTILINE)
    return str(found[-1]).strip() if found else ""
