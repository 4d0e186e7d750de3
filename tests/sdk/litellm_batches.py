"""LiteLLM's batch calls against the daemon, as a program makes them that goes through LiteLLM."""

import io
import json
import sys
import time

import litellm

daemon = {"custom_llm_provider": "openai", "api_base": sys.argv[1], "api_key": "overnight"}


def line(n):
    body = {"model": "sim/small", "max_tokens": 50, "messages": [{"role": "user", "content": f"question {n}"}]}
    return json.dumps({"custom_id": f"r-{n}", "method": "POST", "url": "/v1/chat/completions", "body": body})


lines = io.BytesIO("\n".join(line(n) for n in range(5)).encode())
file = litellm.create_file(file=("lines.jsonl", lines), purpose="batch", **daemon)
batch = litellm.create_batch(
    completion_window="24h",
    endpoint="/v1/chat/completions",
    input_file_id=file.id,
    metadata={"overnight_max_cost": "$1"},
    **daemon,
)
assert batch.status == "validating", batch
while batch.status in ("validating", "in_progress", "finalizing"):
    time.sleep(0.02)
    batch = litellm.retrieve_batch(batch_id=batch.id, **daemon)
assert batch.status == "completed" and batch.request_counts.completed == 5, batch
content = litellm.file_content(file_id=batch.output_file_id, **daemon)
answers = [json.loads(text) for text in content.text.splitlines()]
assert [answer["custom_id"] for answer in answers] == [f"r-{n}" for n in range(5)], answers
listed = litellm.list_batches(limit=1, **daemon)
assert [found.id for found in listed.data] == [batch.id], listed
print("ok")
