"""OpenAI's Python SDK against the daemon; only base_url differs from a program that uses OpenAI."""

import io
import json
import sys
import time

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="overnight", max_retries=0)


def line(custom_id, url, body):
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": "sim/small", **body}})


BODIES = {
    "/v1/chat/completions": lambda n: {"max_tokens": 50, "messages": [{"role": "user", "content": f"question {n}"}]},
    "/v1/responses": lambda n: {"max_output_tokens": 50, "input": f"question {n}"},
    "/v1/embeddings": lambda n: {"input": f"text {n}"},
}


def upload(url, n_lines):
    lines = "\n".join(line(f"r-{n}", url, BODIES[url](n)) for n in range(n_lines))
    return client.files.create(file=("lines.jsonl", io.BytesIO(lines.encode())), purpose="batch")


def wait(batch):
    while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
        time.sleep(0.02)
        batch = client.batches.retrieve(batch.id)
    return batch


def answers(file_id):
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


# Every kind of line: uploaded, created, polled, downloaded.
for url, kind in (("/v1/chat/completions", "chat.completion"), ("/v1/responses", "response"), ("/v1/embeddings", "list")):
    file = upload(url, 7)
    assert (file.object, file.purpose, file.status) == ("file", "batch", "processed"), file
    assert client.files.retrieve(file.id) == file
    batch = client.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h", metadata={"kind": kind})
    assert batch.status == "validating" and batch.metadata == {"kind": kind}, batch
    done = wait(batch)
    assert done.status == "completed", done
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (7, 7, 0), done
    assert done.usage.total_tokens > 0 and done.error_file_id is None and done.errors is None, done
    lines = answers(done.output_file_id)
    assert [answer["custom_id"] for answer in lines] == [f"r-{n}" for n in range(7)], lines
    assert all(answer["response"]["body"]["object"] == kind for answer in lines), lines

# The bodies are what the SDK's own types read.
chat = openai.types.chat.ChatCompletion.model_validate(answers(client.batches.list(limit=3).data[2].output_file_id)[0]["response"]["body"])
assert chat.choices[0].message.content

# Lists, page by page; the SDK asks for the next page itself.
paged = [batch.id for batch in client.batches.list(limit=2)]
assert len(paged) == 3 and paged == sorted(paged, reverse=True), paged
inputs = [file.id for file in client.files.list(purpose="batch", limit=1)]
assert len(inputs) == 3 and len(set(inputs)) == 3, inputs

# Bad lines.
file = client.files.create(file=("bad.jsonl", b'{"custom_id":"a"}\nno json\n'), purpose="batch")
failed = wait(client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"))
assert failed.status == "failed" and failed.output_file_id is None, failed
assert [error.line for error in failed.errors.data] == [1, 2], failed.errors

# Cancelling; what was not sent is in the error file.
file = upload("/v1/chat/completions", 40)
batch = client.batches.create(
    input_file_id=file.id,
    endpoint="/v1/chat/completions",
    completion_window="7d",
    extra_body={"overnight": {"models": "slow/small"}},
)
while client.batches.retrieve(batch.id).status == "validating":
    time.sleep(0.02)
cancelled = client.batches.cancel(batch.id)
assert cancelled.status in ("cancelling", "cancelled") and cancelled.cancelling_at, cancelled
cancelled = wait(cancelled)
assert cancelled.status == "cancelled" and cancelled.cancelled_at, cancelled
errors = answers(cancelled.error_file_id)
assert len(errors) == cancelled.request_counts.failed > 0, cancelled
assert all(line["error"]["code"] == "batch_cancelled" for line in errors), errors

# Errors have the classes a program catches.
for call, kind in (
    (lambda: client.files.retrieve("file-none"), openai.NotFoundError),
    (lambda: client.batches.retrieve("batch_none"), openai.NotFoundError),
    (lambda: client.batches.create(input_file_id="file-none", endpoint="/v1/chat/completions", completion_window="24h"), openai.BadRequestError),
    (lambda: client.batches.cancel(cancelled.id), openai.ConflictError),
):
    try:
        call()
    except kind as error:
        assert error.body["message"] and error.request_id.startswith("req_"), error.body
    else:
        raise AssertionError(kind)

deleted = client.files.delete(file.id)
assert deleted.deleted and deleted.id == file.id
assert "sim/small" in [model.id for model in client.models.list()]

# Requests that wait for their answer, through the same queue.
chat = client.chat.completions.create(model="auto", max_tokens=20, messages=[{"role": "user", "content": "hi"}])
assert chat.choices[0].message.content and chat.usage.total_tokens > 0, chat

# The same, streamed: the whole answer at its end.
stream = client.chat.completions.create(
    model="auto",
    max_tokens=20,
    messages=[{"role": "user", "content": "hi"}],
    stream=True,
    stream_options={"include_usage": True},
)
chunks = list(stream)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), chunks
assert chunks[0].choices[0].delta.role == "assistant" and chunks[-2].choices[0].finish_reason, chunks
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, chunks[-1]
with client.chat.completions.stream(model="sim/small", messages=[{"role": "user", "content": "hi"}]) as stream:
    assert stream.get_final_completion().choices[0].message.content
with client.responses.stream(model="sim/small", input="hi", max_output_tokens=20) as stream:
    kinds = [event.type for event in stream]
    assert stream.get_final_response().output_text and kinds[0] == "response.created", kinds
try:
    client.chat.completions.create(model="nobody-5", messages=[{"role": "user", "content": "hi"}], stream=True)
except openai.BadRequestError as error:
    assert error.param == "model" and "sim/small" in error.body["message"], error.body
else:
    raise AssertionError("nobody serves it")
response = client.responses.create(
    model="sim/small", input="hi", max_output_tokens=20, extra_headers={"x-overnight-deadline": "8h"}
)
assert response.output_text, response
vectors = client.embeddings.create(model="sim/small", input=["one", "two"])
assert len(vectors.data) == 2 and len(vectors.data[0].embedding) > 1, vectors
print("ok")
