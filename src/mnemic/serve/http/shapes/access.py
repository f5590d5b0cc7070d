"""Who may what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnemic.serve.http.shapes.shape import Shape

Right = Literal["read", "write", "share", "administer"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Me(BaseModel):
    name: str
    rights: dict[str, list[Right]]
    token: str | None


class Permission(Shape):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"rights": ["read"]}]})
    rights: list[Right] = Field(max_length=4)


class Granted(BaseModel):
    items: dict[str, list[Right]] = Field(description="principal -> rights in this space")


class NewPrincipal(Shape):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "ana"}]})
    name: Name


class Principal(BaseModel):
    id: str
    name: str
    at: str
    rights: dict[str, list[Right]]


class Principals(BaseModel):
    items: list[Principal]


class NewToken(Shape):
    """`rights` null: all that the principal may, now and later. "*" stands for every space."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"principal": "ana", "rights": {"family": ["read", "write"]}, "expires": "2999-12-31"}]})  # fmt: skip
    principal: str
    rights: dict[Name, list[Right]] | None = None
    expires: str | None = None


class Token(BaseModel):
    id: str
    principal: str
    at: str
    expires: str | None
    revoked: str | None
    rights: dict[str, list[Right]] | None
    live: bool


class Tokens(BaseModel):
    items: list[Token]


class Issued(BaseModel):
    """The secret is shown this once and is nowhere else."""

    token: Token
    secret: str
