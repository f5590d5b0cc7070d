"""One request as a text world: documentation is read and APIs are called by commands."""

from __future__ import annotations

import json

from mnemic.bench.worlds.apis.requests import BY_NAME, Asked, tool_set
from mnemic.environment import Observation


class ApiWorld:
    """Fulfil one request.

    help NAME       shows the documentation of an API
    call NAME {}    runs it with these arguments; the right result ends the episode with score 1
    """

    def __init__(self, asked: Asked, *, max_steps: int = 5) -> None:
        self.asked, self.max_steps = asked, max_steps
        self._tools = tool_set()
        self._wanted = self._tools[asked.tool].run(asked.args)
        self._steps, self._solved = 0, False

    @property
    def goal(self) -> str:
        return self.asked.query

    def reset(self) -> Observation:
        self._steps, self._solved = 0, False
        return Observation(f"There are {len(self._tools)} APIs: {', '.join(self._tools.names)}.")

    def step(self, action: str) -> Observation:
        self._steps += 1
        verb, _, rest = action.strip().partition(" ")
        name, _, text = rest.strip().partition(" ")
        if self._steps > self.max_steps or self._solved:
            said = "The episode is over."
        elif name not in BY_NAME or verb not in ("help", "call"):
            said = f'"{action}" is not understood: say help NAME, or call NAME {{}} with arguments as JSON.'
        else:
            said = self._tools[name].documentation() if verb == "help" else self._called(name, text)
        return Observation(said, float(self._solved), self._solved or self._steps >= self.max_steps)

    def _called(self, name: str, text: str) -> str:
        try:
            args = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            return f"The arguments are no JSON ({error})."
        if not isinstance(args, dict):
            return "The arguments are no JSON object."
        result = self._tools[name].run(args)
        self._solved = name == self.asked.tool and result == self._wanted
        return result

    def valid_actions(self) -> list[str]:
        """Every documentation that can be read; calls are too many to list, so each stands without arguments."""
        return sorted([f"help {name}" for name in BY_NAME] + [f"call {name} {{}}" for name in BY_NAME])
