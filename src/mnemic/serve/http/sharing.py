"""Who may what: yourself, who else may use a space, principals and tokens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from fastapi.responses import Response

from mnemic.serve.access import EVERY, PERSON, RIGHTS, Denied, Principal, Session, Token
from mnemic.serve.http import shapes
from mnemic.serve.http.names import Named
from mnemic.serve.http.routes import Space, problems
from mnemic.serve.http.serving import Serving, answer, asking, changing, reading, serving
from mnemic.serve.rooms import Room

router = APIRouter(prefix="/v1", tags=["access"])

Who = Annotated[Named, Path(description="name of the principal", min_length=1, max_length=200)]


@router.get("/me", response_model=shapes.Me, summary="Who you are", responses=problems())
async def me(request: Request) -> Response:
    """Your name, and your rights by space; "*" stands for every space."""
    who = serving(request).pool.session(asking(request))
    rights = {space: [right for right in RIGHTS if right in may] for space, may in who.rights.items()}
    return answer({"name": who.name, "rights": rights, "token": who.token})


@router.get("/spaces/{space}/grants", response_model=shapes.Granted, summary="Who may what in a space",
            responses=problems())  # fmt: skip
async def grants(request: Request, space: Space) -> Response:
    """Needs the right to share. Those who may all in every space are not named."""
    here = serving(request)
    return answer(await reading(request, space, lambda room: {"items": here.pool.access.granted(space)}, "share"))


@router.put("/spaces/{space}/grants/{name}", response_model=shapes.Granted, summary="Share a space",
            responses=problems(409))  # fmt: skip
async def share(request: Request, space: Space, name: Who, given: Annotated[shapes.Permission, Body()]) -> Response:
    """Permit a principal exactly these rights here. You can give only rights that you have."""
    return await _granted(request, space, name, given.rights)


@router.delete("/spaces/{space}/grants/{name}", response_model=shapes.Granted, summary="Share a space no longer",
               responses=problems(409))  # fmt: skip
async def unshare(request: Request, space: Space, name: Who) -> Response:
    """All tokens of the principal lose the space at once."""
    return await _granted(request, space, name, [])


async def _granted(request: Request, space: str, name: str, rights: list[shapes.Right]) -> Response:
    here = serving(request)

    def act(room: Room) -> Response:
        access, who = here.pool.access, room.session or PERSON
        touched = {*rights, *access.granted(space).get(name, ())}
        beyond = [right for right in RIGHTS if right in touched and not who.may(right, space)]
        if beyond:
            raise Denied(403, f'you may not give or take the right to {beyond[0]} in "{space}": you do not have it.')
        access.grant(name, space, rights)
        return answer({"items": access.granted(space)})

    return await changing(request, space, act, "share")


# ---- for those who administer every space


@router.get("/principals", response_model=shapes.Principals, summary="All principals", responses=problems())
async def principals(request: Request) -> Response:
    return answer(await _owned(request, lambda here: {
        "items": [asdict(each) for each in here.pool.access.principals()]}))  # fmt: skip


@router.post("/principals", status_code=201, response_model=shapes.Principal, summary="A new principal",
             responses=problems())  # fmt: skip
async def create(request: Request, given: Annotated[shapes.NewPrincipal, Body()]) -> Response:
    """Who has no right yet: issue a token with rights, or share spaces."""

    def act(here: Serving) -> Principal:
        return here.pool.access.create_principal(given.name)

    return answer(await _owned(request, act), 201)


@router.delete("/principals/{name}", response_model=shapes.Principals, summary="Remove a principal",
               responses=problems())  # fmt: skip
async def remove(request: Request, name: Who) -> Response:
    """With all its tokens. What it did stays in the log."""

    def act(here: Serving) -> dict[str, Any]:
        here.pool.access.remove_principal(name)
        return {"items": [asdict(each) for each in here.pool.access.principals()]}

    return answer(await _owned(request, act))


@router.get("/tokens", response_model=shapes.Tokens, summary="All tokens", responses=problems())
async def tokens(request: Request) -> Response:
    """Without their secrets, which are nowhere."""
    return answer(await _owned(request, lambda here: {
        "items": [_row(each) for each in here.pool.access.tokens()]}))  # fmt: skip


@router.post("/tokens", status_code=201, response_model=shapes.Issued, summary="Issue a token", responses=problems())
async def issue(request: Request, given: Annotated[shapes.NewToken, Body()]) -> Response:
    """The principal is permitted what of the rights it was not. The secret is shown this once."""

    def act(here: Serving) -> dict[str, Any]:
        rights = given.rights if given.rights is None else dict(given.rights)
        token, secret = here.pool.access.issue(given.principal, rights, expires=given.expires)
        return {"token": _row(token), "secret": secret}

    return answer(await _owned(request, act), 201, {"Cache-Control": "no-store"})


@router.delete("/tokens/{id}", response_model=shapes.Token, summary="Revoke a token", responses=problems())
async def revoke(request: Request, id: Annotated[Named, Path(min_length=1, max_length=200)]) -> Response:
    """From the next request on it opens nothing."""
    return answer(await _owned(request, lambda here: _row(here.pool.access.revoke(id))))


async def _owned(request: Request, act: Any) -> Any:
    here = serving(request)
    owner(here, asking(request))
    return await here.work(lambda: act(here), here.quick)


def owner(here: Serving, session: Session | None) -> None:
    """Raises Denied (403) for who may not all in every space."""
    if not here.pool.session(session).owner:
        raise Denied(403, f'this is for those who may "administer" every space ("{EVERY}"): ask one of them.')


def _row(token: Token) -> dict[str, Any]:
    return {**vars(token), "live": token.live}
