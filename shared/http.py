"""HTTP edges: a server that stops in order, and errors as problem+json (RFC 9457)."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from shared.database import PASSING
from shared.envelope import first_fault

log = structlog.get_logger(__name__)

# What aiohttp refuses before a handler sees it, in our words.
_OURS = {
    404: ("Not found", "there is no such path: mind a slash at its end, and empty ids"),
    405: ("No such method", "the header Allow lists the methods of this path"),
    413: ("Too large", "the body is larger than what is taken here"),
}

Model = TypeVar("Model", bound=BaseModel)


class Problem(Exception):
    """An answer that is not a success: status, a short title, and the field at fault, if any."""

    def __init__(
        self, status: int, title: str, *, detail: str = "", field: str | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field

    def response(self) -> web.Response:
        """As application/problem+json."""
        body: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.field is not None:
            body["field"] = self.field
        return web.Response(
            body=f"{json.dumps(body)}\n".encode(),
            status=self.status,
            content_type="application/problem+json",
        )


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what handlers raise into problem+json."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        title, detail = _OURS.get(error.status, (error.reason, ""))
        response = Problem(error.status, title, detail=detail).response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except PASSING as error:
        log.warning("database away", route=_template(request), error=repr(error))
        return Problem(503, "Try again in a moment").response()
    except Exception:
        log.exception("request failed", method=request.method, route=_template(request))
        return Problem(500, "Something went wrong on our side").response()


def _template(request: web.Request) -> str | None:
    """The route's path with names in place of what was asked: an invite's path holds its secret."""
    resource = request.match_info.route.resource
    return None if resource is None else resource.canonical


async def body_as(request: web.Request, model: type[Model]) -> Model:
    """The request's JSON body as a model. Raises Problem with the field at fault."""
    try:
        document = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise Problem(400, "The body is not JSON", detail=str(error)) from None
    try:
        return model.model_validate(document)
    except ValidationError as error:
        field, reason = first_fault(error)
        raise Problem(422, "A field is not valid", detail=reason, field=field) from None


async def serve(app: web.Application, host: str, port: int, *, grace_s: float) -> web.AppRunner:
    """Listen; requests under way at the clean-up have `grace_s` seconds to finish."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=grace_s)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
