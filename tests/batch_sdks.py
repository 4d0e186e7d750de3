"""The official SDKs against the simulated batch APIs: do their typed models take our objects?

    batch_sdks.py ADDRESS KEY

Each makes a batch, watches it, reads its results and cancels another. What a model does not take is an
exception here, and so is a word that it does not know.
"""

import io
import json
import sys
import typing
import urllib.request
import warnings

import anthropic
import openai
from google import genai

ADDRESS, KEY = sys.argv[1], sys.argv[2]
COUNT = 5
# A value that a model has no place for is a warning of pydantic's, and no small matter here.
warnings.simplefilter("error", UserWarning)


def main():
    for test in (over_openai, over_anthropic, over_gemini_inline, over_gemini_file):
        test()
        print(test.__name__)


def chat(number):
    return {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}], "max_tokens": 50}


def put_forward():
    body = json.dumps({"pass_seconds": 3600}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{ADDRESS}/sim/clock", body, method="POST")).read()


def strict(model, value):
    """The same object again, where every word must be one that its type knows."""
    again = type(model).model_validate(model.to_dict(mode="json"))
    assert again == model
    known = typing.get_args(type(model).model_fields[value].annotation)
    assert getattr(model, value) in known, (getattr(model, value), known)
    return model


def over_openai():
    client = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key=KEY, max_retries=0)
    lines = [
        {"custom_id": f"r-{n}", "method": "POST", "url": "/v1/chat/completions", "body": chat(n)}
        for n in range(COUNT)
    ]
    content = io.BytesIO("\n".join(map(json.dumps, lines)).encode())
    content.name = "requests.jsonl"
    file = client.files.create(file=content, purpose="batch")
    assert client.files.retrieve(file.id).filename == "requests.jsonl"

    def create():
        return client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"of": "the test"},
        )

    batch = strict(create(), "status")
    assert batch.metadata == {"of": "the test"} and batch.status == "validating"
    assert [one.id for one in client.batches.list()][0] == batch.id
    put_forward()
    batch = strict(client.batches.retrieve(batch.id), "status")
    assert (batch.status, batch.request_counts.completed) == ("completed", COUNT)
    assert batch.usage.output_tokens > 0 and batch.error_file_id is None
    answers = client.files.content(batch.output_file_id).text.splitlines()
    ids = set()
    for line in map(json.loads, answers):
        completion = openai.types.chat.ChatCompletion.model_validate(line["response"]["body"])
        assert completion.choices[0].message.content and completion.usage.total_tokens
        ids.add(line["custom_id"])
    assert ids == {f"r-{n}" for n in range(COUNT)}
    assert strict(client.batches.cancel(create().id), "status").status == "cancelling"
    assert client.files.delete(batch.output_file_id).deleted and client.files.delete(file.id).deleted


def over_anthropic():
    client = anthropic.Anthropic(base_url=ADDRESS, api_key=KEY, max_retries=0)
    requests = [{"custom_id": f"r-{n}", "params": chat(n)} for n in range(COUNT)]
    batch = strict(client.messages.batches.create(requests=requests), "processing_status")
    assert batch.request_counts.processing == COUNT
    assert [one.id for one in client.messages.batches.list()][0] == batch.id
    put_forward()
    batch = strict(client.messages.batches.retrieve(batch.id), "processing_status")
    assert batch.processing_status == "ended" and batch.request_counts.succeeded == COUNT
    results = list(client.messages.batches.results(batch.id))
    assert {result.custom_id for result in results} == {f"r-{n}" for n in range(COUNT)}
    for result in results:
        assert result.result.type == "succeeded"
        message = result.result.message
        assert message.content[0].text and message.usage.service_tier == "batch"
    other = client.messages.batches.create(requests=requests)
    assert client.messages.batches.cancel(other.id).processing_status == "canceling"
    assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"


def gemini():
    return genai.Client(api_key=KEY, http_options={"base_url": ADDRESS, "api_version": "v1beta"})


def over_gemini_inline():
    client = gemini()
    requests = [{"contents": [{"role": "user", "parts": [{"text": f"question {n}"}]}]} for n in range(COUNT)]
    batch = client.batches.create(model="m", src=requests, config={"display_name": "the test"})
    assert batch.name.startswith("batches/") and batch.state.name == "JOB_STATE_PENDING"
    assert next(iter(client.batches.list())).name == batch.name
    put_forward()
    batch = client.batches.get(name=batch.name)
    assert batch.state.name == "JOB_STATE_SUCCEEDED" and batch.display_name == "the test"
    answers = batch.dest.inlined_responses
    assert len(answers) == COUNT
    assert all(answer.response.text and answer.response.usage_metadata for answer in answers)
    other = client.batches.create(model="m", src=requests, config={"display_name": "another"})
    client.batches.cancel(name=other.name)


def over_gemini_file():
    client = gemini()
    lines = [
        {"key": f"r-{n}", "request": {"contents": [{"role": "user", "parts": [{"text": f"question {n}"}]}]}}
        for n in range(COUNT)
    ]
    about = json.dumps({"file": {"displayName": "the test"}})
    parts = [about, "\n".join(map(json.dumps, lines))]
    body = "".join(f"--x\r\nContent-Type: application/json\r\n\r\n{part}\r\n" for part in parts) + "--x--\r\n"
    request = urllib.request.Request(
        f"{ADDRESS}/upload/v1beta/files?uploadType=multipart",
        body.encode(),
        {"content-type": "multipart/related; boundary=x", "x-goog-api-key": KEY},
    )
    file = genai.types.File.model_validate(json.loads(urllib.request.urlopen(request).read())["file"])
    batch = client.batches.create(model="m", src=file.name, config={"display_name": "over a file"})
    put_forward()
    batch = client.batches.get(name=batch.name)
    answers = client.files.download(file=batch.dest.file_name).decode().splitlines()
    assert {json.loads(line)["key"] for line in answers} == {f"r-{n}" for n in range(COUNT)}
    for line in answers:
        assert genai.types.GenerateContentResponse.model_validate(json.loads(line)["response"]).text
    client.files.delete(name=file.name)
    client.batches.delete(name=batch.name)


main()
