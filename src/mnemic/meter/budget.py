"""The one currency in which all systems are compared: a budget, and what was used of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from mnemic.errors import BudgetError

Unit = Literal["tokens", "bytes", "records"]

_BYTES = {"b": 1, "byte": 1, "bytes": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4,
          "kib": 1024, "mib": 1024**2, "gib": 1024**3}  # fmt: skip
_ENDLESS = 1e18  # more than any file or float can count exactly: a slip of the keyboard
_COUNTS: dict[str, Unit] = {"token": "tokens", "tokens": "tokens", "record": "records", "records": "records"}


@dataclass(frozen=True)
class Budget:
    """How much may be kept. Amounts are whole tokens, bytes or records.

    Budget(50_000_000, "bytes")     the amount and its unit
    Budget.of("50 MB")              read from text; kB, MB, GB are powers of 1000, KiB, MiB of 1024
    Budget.of("2000 tokens")        likewise; "10000 records" too
    """

    amount: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise BudgetError(f"a budget of {self.amount} {self.unit} holds nothing: give at least 1.")

    @classmethod
    def of(cls, value: Budget | str) -> Budget:
        """Read a budget; raises BudgetError with the forms that work."""
        if isinstance(value, Budget):
            return value
        match = re.fullmatch(r"\s*(\d[\d_]*(?:\.\d+)?)\s*([a-z]+)\s*", str(value).lower())
        if match:
            amount, word = float(match[1].replace("_", "")), match[2]
            if word in _BYTES and amount < _ENDLESS:
                return cls(int(amount * _BYTES[word]), "bytes")
            if word in _COUNTS and amount < _ENDLESS:
                return cls(int(amount), _COUNTS[word])
        raise BudgetError(f'cannot read the budget "{value}": write it like "50 MB", "10000 records" or "2000 tokens".')

    def __str__(self) -> str:
        return f"{self.amount:,} {self.unit}"


@dataclass(frozen=True)
class Used:
    """What was spent, measured after the fact, and on what.

    parts   name -> amount in the same unit; they need not add up to amount (peaks do not)
    """

    amount: int
    unit: Unit
    parts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return readable(self.amount, self.unit)


def readable(amount: float, unit: Unit) -> str:
    """An amount for people: "12.3 MB", "1,234 tokens". Bytes count in thousands, as in Budget.of."""
    if unit != "bytes":
        return f"{amount:,.0f} {unit}"
    for power, word in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(amount) >= 1000**power * 0.9995:  # 999.96 kB is printed as 1.0 MB, not as 1000.0 kB
            return f"{amount / 1000**power:.1f} {word}"
    return f"{amount:.0f} bytes"
