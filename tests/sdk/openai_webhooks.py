"""A receiver of the daemon's webhooks, which unwraps them with OpenAI's Python SDK.

Prints the port it listens on, then is told the daemon's base URL on its standard input.
"""

import io
import json
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai

SECRET = "whsec_b3Zlcm5pZ2h0LXRlc3RzLW9ubHk="
received = queue.Queue()
answers = [503]  # The first try fails, and is made again.


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.put((body, dict(self.headers)))
        self.send_response(answers.pop() if answers else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
client = openai.OpenAI(base_url=sys.stdin.readline().strip(), api_key="overnight", webhook_secret=SECRET)


def batch(text):
    file = client.files.create(file=("lines.jsonl", io.BytesIO(text.encode())), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


def lines(model, n):
    body = {"model": model, "messages": [{"role": "user", "content": "a canary"}]}
    line = lambda i: json.dumps({"custom_id": f"r-{i}", "method": "POST", "url": "/v1/chat/completions", "body": body})
    return "\n".join(map(line, range(n)))


def event(kind, batch):
    payload, headers = received.get()
    event = client.webhooks.unwrap(payload, headers)
    assert (event.type, event.object, event.data.id) == (kind, "event", batch.id), payload
    assert abs(event.created_at - time.time()) < 300 and event.id == headers["webhook-id"], payload
    assert b"canary" not in payload and b"r-0" not in payload, payload
    return event, payload, headers


done = batch(lines("sim/small", 3))
refused, *_ = event("batch.completed", done)
again, payload, headers = event("batch.completed", done)
assert again.id == refused.id, "the same message has the same name whenever it is sent"
assert client.batches.retrieve(done.id).status == "completed"

event("batch.failed", batch("no json\n"))

slow = batch(lines("slow/small", 40))
while client.batches.retrieve(slow.id).status == "validating":
    time.sleep(0.02)
client.batches.cancel(slow.id)
event("batch.cancelled", slow)

try:
    client.webhooks.unwrap(payload.replace(b"completed", b"cancelled"), headers)
except openai.InvalidWebhookSignatureError:
    pass
else:
    raise AssertionError("what was changed on its way is not ours")
print("ok")
