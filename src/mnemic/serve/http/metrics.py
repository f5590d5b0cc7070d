"""Counts and times of requests, in the text format that Prometheus reads. Nothing of them leaves by itself."""

from __future__ import annotations

import threading
import time
from collections import Counter

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
# A method is any word that a client likes; each new one would stay here for good.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
Route = tuple[str, str]  # method, path of the route


class Metrics:
    """Of one process, since it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.time()
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._within: dict[Route, list[int]] = {}
        self._seconds: dict[Route, float] = {}
        self._refused: Counter[str] = Counter()
        self._added: Counter[str] = Counter()
        self.running = 0

    def begin(self) -> None:
        with self._lock:
            self.running += 1

    def end(self, method: str, path: str, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "other"
        with self._lock:
            self.running -= 1
            self._answers[method, path, status] += 1
            within = self._within.setdefault((method, path), [0] * (len(_BOUNDS) + 1))
            within[next((i for i, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))] += 1
            self._seconds[method, path] = self._seconds.get((method, path), 0.0) + seconds

    def refused(self, why: str) -> None:
        with self._lock:
            self._refused[why] += 1

    def remembered(self, state: str, many: int = 1) -> None:
        with self._lock:
            self._added[state] += many

    def text(self) -> str:
        with self._lock:
            return "\n".join([*self._simple(), *self._requests(), *self._times(), ""])

    def _simple(self) -> list[str]:
        lines = [
            "# HELP mnemic_started_seconds When the server started, seconds since 1970.",
            "# TYPE mnemic_started_seconds gauge",
            f"mnemic_started_seconds {self._began:.3f}",
            "# HELP mnemic_requests_running Requests that are being answered.",
            "# TYPE mnemic_requests_running gauge",
            f"mnemic_requests_running {self.running}",
            "# HELP mnemic_refused_total Requests refused before they were looked at, by reason.",
            "# TYPE mnemic_refused_total counter",
            *(f'mnemic_refused_total{{reason="{why}"}} {many}' for why, many in sorted(self._refused.items())),
            "# HELP mnemic_remembered_total Texts that were given, by what became of them.",
            "# TYPE mnemic_remembered_total counter",
            *(f'mnemic_remembered_total{{state="{state}"}} {many}' for state, many in sorted(self._added.items())),
        ]
        return lines

    def _requests(self) -> list[str]:
        return [
            "# HELP mnemic_requests_total Requests, by route and status.",
            "# TYPE mnemic_requests_total counter",
            *(f'mnemic_requests_total{{method="{method}",route="{path}",status="{status}"}} {many}'
              for (method, path, status), many in sorted(self._answers.items())),
        ]  # fmt: skip

    def _times(self) -> list[str]:
        lines = ["# HELP mnemic_request_seconds How long requests took, by route.",
                 "# TYPE mnemic_request_seconds histogram"]  # fmt: skip
        for (method, path), within in sorted(self._within.items()):
            labels, total = f'method="{method}",route="{path}"', 0
            for bound, many in zip([*(f"{bound:g}" for bound in _BOUNDS), "+Inf"], within, strict=True):
                total += many
                lines.append(f'mnemic_request_seconds_bucket{{{labels},le="{bound}"}} {total}')
            lines.append(f"mnemic_request_seconds_sum{{{labels}}} {self._seconds[method, path]:.6f}")
            lines.append(f"mnemic_request_seconds_count{{{labels}}} {total}")
        return lines
