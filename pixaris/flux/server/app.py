"""The routes: the API's, a region's, and those of where images lie."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pixaris.exceptions import ImageError
from pixaris.files import JsonMapping, JsonObject
from pixaris.flux.fields import UnfitError
from pixaris.flux.models import MODELS, MOST_PIXELS, Model
from pixaris.flux.server.account import Account, Asked, Options, Work
from pixaris.flux.server.faults import SUBMIT, Rule, parse_rules
from pixaris.flux.server.paint import encode, paint
from pixaris.images import decode

FOREIGN = "http://flux.invalid"
"""Another host: what a redirect or a stranger's URL names."""
REGION = "/region"
"""Where the region is on the API's own server: the key goes to no other port."""
_ALWAYS = ("webhook_url", "webhook_secret")


@dataclass
class Places:
    """Where the server is reached, once it listens: base URLs of the API, the region and the delivery."""

    api: str = ""
    region: str = ""
    delivery: str = ""


class Server:
    """The routes over one account.

    Args:
        options: How the account behaves.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.account = Account(options or Options())
        self.places = Places()

    def apps(self) -> tuple[web.Application, web.Application]:
        """The API with the region, and the delivery."""
        api, delivery = (
            web.Application(client_max_size=200 * 1024 * 1024, middlewares=[_noting(self.account, place)])
            for place in ("api", "delivery")
        )
        api.add_routes(
            [
                web.get("/v1/credits", self._credits),
                web.get("/v1/get_result", self._unknown_here),
                web.post("/v1/{model}", self._submit),
                web.post("/pixaris/faults", self._add_faults),
                web.get("/pixaris/faults", self._show_faults),
                web.get(f"{REGION}/v1/get_result", self._poll),
            ]
        )
        delivery.add_routes([web.get("/results/{id}/sample", self._deliver)])
        return api, delivery

    def listens_at(self, api: str, delivery: str) -> None:
        """Learn the base URLs under which the two applications are reached."""
        self.places = Places(api, f"{api}{REGION}", delivery)

    # The API

    async def _credits(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.json_response({"credits": self.account.credits})

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        faults = self.account.faults.strike(*SUBMIT)
        refusal = _injected_refusal(request, faults) or self._refusal(request)
        if refusal is not None:
            return refusal
        model = MODELS.get(request.match_info["model"])
        if model is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        if self.account.active() >= self.account.limit(model):
            return web.json_response({"detail": "Too many active tasks"}, status=429)
        self.account.arriving += 1
        try:
            answer = await self._accepted(model, await request.read())
        finally:
            self.account.arriving -= 1
        if isinstance(answer, web.Response):
            return answer
        if "lose" in faults:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if "hang" in faults:
            await asyncio.sleep(faults["hang"].seconds or 3600)
        if "gateway" in faults:
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        if "garbage" in faults:
            return web.Response(text="<html>Hello</html>", content_type="text/html")
        if "stranger" in answer.faults:
            home = FOREIGN
        else:
            home = self.places.region
        row: dict[str, object] = {"id": answer.id, "polling_url": f"{home}/v1/get_result?id={answer.id}"}
        row |= {"cost": answer.cost, "input_mp": None, "output_mp": None}
        for key in ("polling_url", "cost"):
            if f"no_{key}" in faults:
                del row[key]
                answer.hidden = answer.hidden or key == "polling_url"
        return web.json_response(row)

    async def _accepted(self, model: Model, data: bytes) -> Work | web.Response:
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return _unprocessable([{"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error"}])
        fields, images = split(model, body)
        wrong = faults_of(model, fields, images)
        if wrong:
            return _unprocessable(wrong)
        try:
            files = {name: _decoded(texts) for name, texts in images.items()}
            sizes = {name: _sizes(several, name) for name, several in files.items()}
        except (binascii.Error, ValueError, ImageError) as error:
            return web.json_response({"detail": f"Invalid image: {error}"}, status=400)
        masks = {image.name for image in model.images if image.mask}
        pictures = [one for name, several in files.items() if name not in masks for one in several]
        mask = next((files[name][0] for name in masks if name in files), None)
        first = next((size for name, several in sizes.items() if name not in masks for size in several), None)
        if any(width * height > MOST_PIXELS for several in sizes.values() for width, height in several):
            return web.json_response({"detail": "Image too large: at most 16 megapixels"}, status=400)
        if mask is not None and any(size != first for name in masks for size in sizes.get(name, [])):
            return web.json_response({"detail": "Mask and image must have the same size"}, status=400)
        inputs = [size for name, several in sizes.items() if name not in masks for size in several]
        cost = model.credits(fields, inputs)
        if cost is None:
            price = 5.0
        else:
            price = cost
        if self.account.credits < price:
            return web.json_response({"detail": "Insufficient credits"}, status=402)
        image = await asyncio.to_thread(paint, model.name, fields, pictures, mask)
        file = encode(image, str(fields.get("output_format") or "jpeg"))
        return self.account.accept(model, fields, file, price)

    async def _unknown_here(self, request: web.Request) -> web.Response:
        """A task is known to its region alone, unless its polling URL was kept from the client."""
        work = self.account.works.get(request.query.get("id", ""))
        if work is not None and work.hidden:
            return await self._poll(request)
        row = {"id": request.query.get("id", ""), "status": "Task not found", "result": None}
        return self._refusal(request) or web.json_response(row, status=404)

    # The region

    async def _poll(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        work = self.account.works.get(request.query.get("id", ""))
        if work is None or "unknown" in work.faults or ("late" in work.faults and work.polls < 2):
            if work is not None:
                work.polls += 1
            return web.json_response(
                {"id": request.query.get("id"), "status": "Task not found", "result": None}, status=404
            )
        work.polls += 1
        if "elsewhere" in work.faults:
            return web.Response(status=302, headers={"Location": f"{FOREIGN}{request.path_qs}"})
        if "poll_busy" in work.faults and work.polls <= 2:
            return web.json_response(
                {"error": "rate_limit", "message": "slow down", "retry_after": 0.1}, status=429
            )
        status, result, details, code = self._state(work)
        row = {
            "id": work.id,
            "status": status,
            "result": result,
            "progress": None,
            "details": details,
            "preview": None,
        }
        return web.json_response(row, status=code)

    def _state(self, work: Work) -> tuple[str, object, object, int]:
        if work.done_at > self.account.now():
            return (
                "Generating" if work.polls % 2 else "Pending",
                None,
                None,
                503 if "stuttering" in work.faults else 200,
            )
        for fault, status in (("request", "Request Moderated"), ("content", "Content Moderated")):
            if fault in work.faults:
                return status, None, {"Moderation Reasons": ["Violence", "Derivative Works Filter"]}, 200
        for fault, status, code in (
            ("error", "Error", 200),
            ("failed", "Failed", 200),
            ("unavailable", "Error", 503),
        ):
            if fault in work.faults:
                return status, None, {"error": "the GPU caught fire"}, code
        if "strange" in work.faults:
            return "Philosophising", None, None, 200
        sample = f"{self.places.delivery}/results/{work.id}/sample?{self.account.sign(work)}"
        result = {"sample": sample, "prompt": work.fields.get("prompt"), "seed": work.fields.get("seed")}
        return "Ready", {**result, "duration": self.account.options.seconds}, None, 200

    # The delivery

    async def _deliver(self, request: web.Request) -> web.StreamResponse:
        work = self.account.works.get(request.match_info["id"])
        fault = self.account.delivery_fault()
        alive = (
            work is not None
            and request.query.get("sig") == work.signature
            and work.dies_at > self.account.now()
        )
        if work is None or not alive or fault == "expire":
            text = "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"
            return web.Response(status=403, text=text, content_type="application/xml")
        if fault == "truncate":
            return web.Response(body=work.image[: len(work.image) // 2], content_type="image/png")
        if fault == "cut":
            response = web.StreamResponse(headers={"Content-Length": str(len(work.image))})
            await response.prepare(request)
            await response.write(work.image[: len(work.image) // 2])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=work.image, content_type="image/png")

    # For tests

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            self.account.faults.rules += parse_rules(await request.json())
        except (ValueError, TypeError) as error:
            return web.json_response({"detail": str(error)}, status=400)
        return web.json_response(self.account.faults.as_rows())

    async def _show_faults(self, request: web.Request) -> web.Response:
        return web.json_response(self.account.faults.as_rows())

    def _refusal(self, request: web.Request) -> web.Response | None:
        key = request.headers.get("x-key", "")
        if key and self.account.options.key in ("", key):
            return None
        detail = f"Not authenticated - Invalid Authentication (got {key or 'nothing'})"
        return web.json_response({"detail": detail}, status=403)


def split(model: Model, body: JsonMapping) -> tuple[JsonObject, dict[str, list[Any]]]:
    """A body's fields, and its images by field."""
    names = {image.name for image in model.images if image.position is None} | {model.images_field} - {""}
    fields: JsonObject = {}
    images: dict[str, list[Any]] = {}
    for key, value in body.items():
        if key not in names and value is not None:
            fields[key] = value
        elif key in names and value:
            images[key] = value if isinstance(value, list) else [value]
    return fields, images


def _decoded(texts: Sequence[str]) -> list[bytes]:
    return [base64.b64decode(text, validate=True) for text in texts]


def _sizes(files: Sequence[bytes], name: str) -> list[tuple[int, int]]:
    return [decode(file, name).size for file in files]


def faults_of(
    model: Model, fields: Mapping[str, object], images: Mapping[str, list[object]]
) -> list[dict[str, object]]:
    """What is wrong with a request, as FastAPI tells it. Most models pass over fields they do not know."""
    found = []

    def tell(kind: str, name: str, message: str, value: object = None) -> None:
        found.append({"type": kind, "loc": ["body", name], "msg": message, "input": value})

    for name, value in fields.items():
        field = model.field(name)
        if field is None:
            if model.images_field and name not in _ALWAYS:
                tell("extra_forbidden", name, "Extra inputs are not permitted", value)
        elif not isinstance(value, str | int | float):
            tell("type_error", name, "Input is of the wrong type", value)
        else:
            try:
                field.fit(value)
            except UnfitError as error:
                tell("value_error", name, f"Input {error}", value)
    for field in model.fields:
        if field.required and field.name not in fields:
            tell("missing", field.name, "Field required")
    for image in model.images:
        if image.required and image.name not in images:
            tell("missing", image.name, "Field required")
    for name, several in images.items():
        if not all(isinstance(one, str) for one in several):
            tell("string_type", name, "Input should be a valid string")
    return found


def _unprocessable(wrong: list[dict[str, object]]) -> web.Response:
    return web.json_response({"detail": wrong}, status=422)


def _injected_refusal(request: web.Request, faults: Mapping[str, Rule]) -> web.Response | None:
    """What is answered in place of the account, where a fault says so."""
    for fault, status, detail in (
        ("busy", 429, "Too many active tasks"),
        ("no_credits", 402, "Insufficient credits"),
        ("bad_key", 403, f"Not authenticated - Invalid Authentication: {request.headers.get('x-key')}"),
    ):
        if fault in faults:
            headers = {}
            seconds = faults[fault].seconds
            if seconds is not None:
                headers["Retry-After"] = f"{seconds:g}"
            return web.json_response({"detail": detail}, status=status, headers=headers)
    if "error500" in faults:
        return web.Response(status=500, text="<html>Internal Server Error</html>", content_type="text/html")
    if "redirect" in faults:
        elsewhere = f"{FOREIGN}/v1/{request.match_info['model']}"
        return web.Response(status=307, headers={"Location": elsewhere})
    return None


def _noting(account: Account, place: str) -> Any:  # noqa: ANN401  (aiohttp's middleware type)
    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401
        body = None
        if request.method == "POST":
            try:
                body = json.loads(await request.read())
            except ValueError:
                body = None
        if request.path.startswith(f"{REGION}/"):
            where = "region"
        else:
            where = place
        account.asked.append(
            Asked(where, request.method, request.path_qs, request.headers.get("x-key", ""), body)
        )
        answer: web.StreamResponse = await handler(request)
        return answer

    return note
