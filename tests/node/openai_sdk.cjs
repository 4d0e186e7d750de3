// OpenAI's Node SDK against the daemon; only baseURL differs from a program that uses OpenAI.
const assert = require("node:assert/strict");
const { OpenAI, toFile } = require("openai");

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "overnight", maxRetries: 0 });
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

const bodies = {
  "/v1/chat/completions": (n) => ({ max_tokens: 50, messages: [{ role: "user", content: `question ${n}` }] }),
  "/v1/responses": (n) => ({ max_output_tokens: 50, input: `question ${n}` }),
  "/v1/embeddings": (n) => ({ input: `text ${n}` }),
};

async function upload(url, count) {
  const line = (n) =>
    JSON.stringify({ custom_id: `r-${n}`, method: "POST", url, body: { model: "sim/small", ...bodies[url](n) } });
  const text = Array.from({ length: count }, (_, n) => line(n)).join("\n");
  return client.files.create({ file: await toFile(Buffer.from(text), "lines.jsonl"), purpose: "batch" });
}

async function wait(batch) {
  while (["validating", "in_progress", "finalizing", "cancelling"].includes(batch.status)) {
    await pause();
    batch = await client.batches.retrieve(batch.id);
  }
  return batch;
}

async function answers(file) {
  const text = await (await client.files.content(file)).text();
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function main() {
  for (const [url, kind] of [
    ["/v1/chat/completions", "chat.completion"],
    ["/v1/responses", "response"],
    ["/v1/embeddings", "list"],
  ]) {
    const file = await upload(url, 7);
    const batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: url,
      completion_window: "24h",
      metadata: { kind },
    });
    const done = await wait(batch);
    assert.equal(done.status, "completed");
    assert.deepEqual(done.request_counts, { total: 7, completed: 7, failed: 0 });
    assert.equal(done.error_file_id, null);
    const lines = await answers(done.output_file_id);
    assert.deepEqual(lines.map((line) => line.custom_id), Array.from({ length: 7 }, (_, n) => `r-${n}`));
    assert.ok(lines.every((line) => line.response.body.object === kind));
  }

  const paged = [];
  for await (const batch of client.batches.list({ limit: 2 })) paged.push(batch.id);
  assert.equal(new Set(paged).size, 3);
  const files = [];
  for await (const file of client.files.list({ purpose: "batch", limit: 1 })) files.push(file.id);
  assert.equal(new Set(files).size, 3);

  const bad = await client.files.create({ file: await toFile(Buffer.from("no json\n"), "bad.jsonl"), purpose: "batch" });
  const failed = await wait(
    await client.batches.create({ input_file_id: bad.id, endpoint: "/v1/chat/completions", completion_window: "24h" }),
  );
  assert.equal(failed.status, "failed");
  assert.deepEqual(failed.errors.data.map((error) => error.line), [1]);

  const file = await upload("/v1/chat/completions", 40);
  let batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata: { overnight_models: "slow/small" },
  });
  while ((await client.batches.retrieve(batch.id)).status === "validating") await pause();
  batch = await wait(await client.batches.cancel(batch.id));
  assert.equal(batch.status, "cancelled");
  assert.equal((await answers(batch.error_file_id)).length, batch.request_counts.failed);

  await assert.rejects(client.files.retrieve("file-none"), OpenAI.NotFoundError);
  await assert.rejects(client.batches.cancel(batch.id), OpenAI.ConflictError);
  assert.equal((await client.files.delete(file.id)).deleted, true);

  const chat = await client.chat.completions.create({ model: "auto", messages: [{ role: "user", content: "hi" }] });
  assert.ok(chat.choices[0].message.content);
  const stream = await client.chat.completions.create({
    model: "sim/small",
    messages: [{ role: "user", content: "hi" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.ok(chunks[0].choices[0].delta.content && chunks[1].choices[0].finish_reason);
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
  const said = [];
  for await (const event of await client.responses.create({ model: "sim/small", input: "hi", stream: true })) {
    if (event.type === "response.output_text.delta") said.push(event.delta);
  }
  assert.equal(said.length, 1);
  const response = await client.responses.create({ model: "sim/small", input: "hi", max_output_tokens: 20 });
  assert.ok(response.output_text);
  const vectors = await client.embeddings.create({ model: "sim/small", input: ["one", "two"] });
  assert.equal(vectors.data.length, 2);
  console.log("ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
