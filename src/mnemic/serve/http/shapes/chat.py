"""Chat with memory, as OpenAI's clients know it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class Chat(BaseModel):
    """As OpenAI's clients send it; what is not named here is ignored."""

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra={"examples": [
        {"model": "any", "messages": [{"role": "user", "content": "Where does Ana live?"}]}]})  # fmt: skip
    messages: list[Message] = Field(min_length=1, max_length=1000)
    model: str | None = None
    stream: bool = False
    max_tokens: int | None = Field(None, ge=1, le=100_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=100_000)
    temperature: float | None = Field(None, ge=0, le=2)


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Choice(BaseModel):
    index: int
    message: dict[str, Any]
    finish_reason: Literal["stop"]


class FromMemory(BaseModel):
    """What the memory did. `tokens` is what the memories took of the prompt."""

    space: str
    memories: list[str] = Field(description="ids of the records that were quoted to the model")
    tokens: int
    remembered: list[str] = Field(description="ids of the records of this turn")


class Completed(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    mnemic: FromMemory
