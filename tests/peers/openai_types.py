"""Judges bodies by the types of OpenAI's own SDK.

Reads JSON lines `{"kind": ..., "body": ...}`, a kind being one of KINDS; prints `{"why": [...]}` for each: what
is of another type than published, what is missing, and what nobody has published.
"""

import json
import sys
from functools import cache
from typing import Any, Callable, Iterator

from openai.types import CreateEmbeddingResponse, EmbeddingCreateParams, Model
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

KINDS = {
    "chat request": CompletionCreateParamsNonStreaming,
    "responses request": ResponseCreateParamsNonStreaming,
    "embeddings request": EmbeddingCreateParams,
    "chat": ChatCompletion,
    "response": Response,
    "embeddings": CreateEmbeddingResponse,
    "model": Model,
    "error": ErrorObject,
}


def judge(kind: str, body: Any) -> list[str]:
    shape = KINDS[kind]
    try:
        read = check(kind)(json.dumps(body), strict=True)
    except ValidationError as error:
        return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    if isinstance(read, BaseModel):
        return [f"{name}: not published" for name in extras(read, "")]
    unknown = sorted(set(body) - set(shape.__required_keys__ | shape.__optional_keys__))
    return [f"{name}: not published" for name in unknown]


@cache
def check(kind: str) -> Callable[..., Any]:
    shape = KINDS[kind]
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return shape.model_validate_json
    return SchemaValidator(with_lists(TypeAdapter(shape).core_schema)).validate_json


def with_lists(schema: Any) -> Any:
    """The same with a list for each iterable, which pydantic checks only as far as somebody reads it."""
    if isinstance(schema, list):
        return [with_lists(each) for each in schema]
    if isinstance(schema, tuple):
        return tuple(with_lists(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    schema = {name: with_lists(each) for name, each in schema.items()}
    return {**schema, "type": "list"} if schema.get("type") == "generator" else schema


def extras(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from extras(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, list):
        for each in value:
            yield from extras(each, path)


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"why": judge(asked["kind"], asked["body"])}), flush=True)
