"""The OpenAPI document is true: whatever is sent, no 5xx comes back, and every answer is as declared.

`st run http://127.0.0.1:8765/openapi.json` against a running server goes on for longer than this.
"""

from __future__ import annotations

from contextlib import suppress
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

FEW = settings(max_examples=8, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))


LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def _lines(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_no_5xx_and_every_answer_as_declared(mode: Any, live: Any) -> None:
    url = live(lm=ScriptedLM(lambda request: "Ana lives in Porto [1]."))
    texts = [{"text": "Ana moved to Porto."}, {"text": "Ben drinks tea."}]
    httpx.post(f"{url}/v1/spaces/default/records", json=texts)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        _try(operation, mode)
    assert len(operations) > 40


def _try(operation: Any, mode: Any) -> None:
    @FEW
    @given(case=operation.as_strategy(generation_mode=mode))
    def sent(case: Any) -> None:
        # What a schema cannot say may be refused: an empty text, an id that nothing has, an ETag that is old.
        excluded = [positive_data_acceptance]
        if case.media_type == LINES:  # whatever bytes are sent are lines, and each of them is answered
            excluded.append(negative_data_rejection)
        case.call_and_validate(excluded_checks=excluded)

    with suppress(Unsatisfiable):  # an operation without parameters has nothing that could be wrong
        sent()
