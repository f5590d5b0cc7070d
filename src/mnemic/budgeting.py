"""Keeping a budget: what a policy lets go is taken out and stands in the log."""

from __future__ import annotations

from mnemic.db.changes import Changes
from mnemic.db.store import Store
from mnemic.errors import BudgetError
from mnemic.meter import Budget
from mnemic.seams import Policy, View

_TOMBSTONE = 400  # bytes of the file that the log line about one eviction takes, its index entry included
_ROUNDS = 50  # a policy that has not made room by then never will


def enforce(store: Store, changes: Changes, budget: Budget, policy: Policy, view: View) -> set[str]:
    """Evict what the policy names until the budget holds; inside the transaction of `changes`.

    Under a budget in bytes the log gives up the content of what goes, or nothing would be freed, and keeps one
    line about each eviction (the oldest of these are folded into one, so that they stay below a tenth of the
    budget); under a budget in records it keeps everything, so that an eviction can be undone. Raises BudgetError
    when all that is left is pinned or the empty memory is already larger: then nothing of the call is written.
    """
    evicted: set[str] = set()
    for _ in range(_ROUNDS):
        used = spent(store, changes.space, budget)
        if used <= budget.amount:
            return evicted
        leaving = policy.beyond(budget, view)
        if not leaving:
            break
        for eviction in leaving:
            found = store.find(eviction.id, changes.space)
            if found is not None:
                changes.delete(*found, kind="evict", who=f"policy:{policy.name}", why=eviction.why)
                changes.mark_stale([eviction.id], f"source {eviction.id} was let go")
                if budget.unit == "bytes":
                    changes.shorten(eviction.id)
                evicted.add(eviction.id)
        if budget.unit == "bytes":
            changes.fold(keep=max(10, budget.amount // _TOMBSTONE // 10))
            store.compact(changes.db)
    raise BudgetError(
        f"the budget of {budget} cannot be kept: {spent(store, changes.space, budget):,} {budget.unit} are used and "
        "nothing more may leave. Unpin something, forget something, or give a larger budget. Nothing was written."
    )


def spent(store: Store, space: str, budget: Budget) -> int:
    """What counts against a budget: records of the space, or bytes of the whole file."""
    if budget.unit == "records":
        return int(store.read("SELECT count(*) FROM record WHERE space = ?", (space,))[0][0])
    if budget.unit == "bytes":
        return store.bytes_in_use(space)
    raise BudgetError(f'a memory file is measured in bytes or records, not in {budget.unit}: write it like "50 MB".')
