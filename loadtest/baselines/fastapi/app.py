"""An LLM orchestrator as one would write it with FastAPI: validate the request against a schema, normalize its text, call the
model, return or relay the answer."""

import os
import unicodedata
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

UPSTREAM = os.environ["UPSTREAM_URL"]
API_KEY = os.environ.get("API_KEY", "sk-dev-only")
bearer = HTTPBearer()


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(min_length=1, max_length=200_000)]


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=256)]
    title: Annotated[str, Field(max_length=256)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None


@asynccontextmanager
async def lifespan(app: FastAPI):
    # httpx looks through all its kept connections for each request: with more than its default of 20 it is three times slower.
    limits = httpx.Limits(max_connections=5000, max_keepalive_connections=20)
    async with httpx.AsyncClient(base_url=UPSTREAM, limits=limits, timeout=60) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


def authorize(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> None:
    if credentials.credentials != API_KEY:
        raise HTTPException(status_code=401, detail="invalid api key")


def normalize(request: ChatRequest) -> dict[str, Any]:
    for message in request.messages:
        message.content = unicodedata.normalize("NFC", message.content).strip()
    return request.model_dump(exclude_none=True)


async def relay(upstream: httpx.Response):
    try:
        async for line in upstream.aiter_lines():
            yield line + "\n"
    finally:
        await upstream.aclose()


@app.post("/v1/chat/completions", dependencies=[Depends(authorize)])
async def chat(body: ChatRequest, request: Request):
    client: httpx.AsyncClient = request.app.state.client
    payload = normalize(body)
    if not body.stream:
        answer = await client.post("/v1/chat/completions", json=payload)
        return JSONResponse(answer.json(), status_code=answer.status_code)
    upstream = await client.send(client.build_request("POST", "/v1/chat/completions", json=payload), stream=True)
    return StreamingResponse(relay(upstream), status_code=upstream.status_code, media_type="text/event-stream")
