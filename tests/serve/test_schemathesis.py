"""The OpenAPI document is true: whatever is sent, no 5xx comes back, and every answer is as declared.

The same few requests each time, so that the suite stays quick and fails for a reason. Many more:

python tests/serve/test_schemathesis.py 200        so many for each operation, at random
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')
pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install schemathesis")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from mnemic.lm.scripted import ScriptedLM

LINES, FORM = "application/x-ndjson", "multipart/form-data"
WORDS = {"kind", "source", "speaker", "episode", "only"}  # lists in an address, where one text is a list of one


def few(examples: int, *, always_the_same: bool) -> settings:
    return settings(max_examples=examples, phases=[Phase.explicit, Phase.generate], deadline=None, database=None,
                    derandomize=always_the_same, suppress_health_check=list(HealthCheck))  # fmt: skip


@schemathesis.serializer(LINES)
def _lines(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_no_5xx_and_every_answer_as_declared(mode: Any, live: Any) -> None:
    url = live(lm=ScriptedLM(lambda request: "Ana lives in Porto [1]."))
    assert tried(url, mode, few(3, always_the_same=True)) > 40


def tried(url: str, mode: Any, how: settings) -> int:
    """Send so many requests of each operation; how many operations there are."""
    texts = [{"text": "Ana moved to Porto."}, {"text": "Ben drinks tea."}]
    httpx.post(f"{url}/v1/spaces/default/records", json=texts)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        _try(operation, mode, how)
    return len(operations)


def _try(operation: Any, mode: Any, how: settings) -> None:
    @how
    @given(case=operation.as_strategy(generation_mode=mode))
    def sent(case: Any) -> None:
        # What a schema cannot say may be refused: an empty text, an id that nothing has, an ETag that is old.
        excluded = [positive_data_acceptance]
        # Whatever bytes are sent as lines are lines, and in a form they are a file: each is answered.
        if case.media_type in (LINES, FORM) or WORDS & set(case.query or ()):
            excluded.append(negative_data_rejection)
        case.call_and_validate(excluded_checks=excluded)

    with suppress(Unsatisfiable):  # an operation without parameters has nothing that could be wrong
        sent()


def main(examples: int) -> None:
    import threading

    import uvicorn

    from mnemic.serve import Limits, Settings
    from mnemic.serve.http import create_app

    with tempfile.TemporaryDirectory() as folder:
        lm = ScriptedLM(lambda request: "Ana lives in Porto [1].")
        app = create_app(Settings(str(Path(folder) / "life.db"), embedder="hash-64", lm=lm,
                                  limits=Limits(seconds=600)))  # fmt: skip
        server = uvicorn.Server(uvicorn.Config(app, port=8769, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.1)
        try:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                count = tried("http://127.0.0.1:8769", mode, few(examples, always_the_same=False))
                print(
                    f"{count} operations, {examples} requests of each, {mode.value}: no 5xx, all as declared",
                    flush=True,
                )
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]))
