// Vercel's AI SDK against the daemon; only baseURL differs from a program that uses OpenAI.
const assert = require("node:assert/strict");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const ai = require("ai");

const baseURL = process.argv[2];
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

/// What waits for its answer, whole and streamed.
async function answers() {
  const overnight = createOpenAICompatible({ name: "overnight", baseURL, apiKey: "overnight", includeUsage: true });
  const { text, usage } = await ai.generateText({ model: overnight("auto"), prompt: "hi", maxOutputTokens: 20, maxRetries: 0 });
  assert.ok(text.length > 0 && usage.totalTokens > 0, text);

  const stream = ai.streamText({ model: overnight("sim/small"), prompt: "hi", maxOutputTokens: 20, maxRetries: 0 });
  let streamed = "";
  for await (const piece of stream.textStream) streamed += piece;
  assert.ok(streamed.length > 0);
  assert.ok((await stream.usage).totalTokens > 0);
  assert.ok(["stop", "length"].includes(await stream.finishReason));

  // OpenAI's provider asks the Responses API where it is not told otherwise.
  const responses = ai.streamText({ model: createOpenAI({ baseURL, apiKey: "overnight" })("sim/small"), prompt: "hi", maxRetries: 0 });
  assert.ok((await responses.text).length > 0 && (await responses.usage).totalTokens > 0);

  const { embeddings } = await ai.embedMany({ model: overnight.embeddingModel("sim/small"), values: ["one", "two"], maxRetries: 0 });
  assert.equal(embeddings.length, 2);

  const unknown = ai.generateText({ model: overnight("nobody-5"), prompt: "hi", maxRetries: 0 });
  await assert.rejects(unknown, (error) => error.statusCode === 400 && error.message.includes("sim/small"));
}

/// Batches, whose lines are always of the Responses API.
async function batches() {
  const provider = createOpenAI({ baseURL, apiKey: "overnight" });
  const start = (model, count) =>
    ai.experimental_startBatch({
      provider,
      requests: Array.from({ length: count }, (_, n) => ({ id: `r-${n}`, type: "text", model, prompt: `question ${n}` })),
    });
  const wait = async (batch) => {
    let status;
    do {
      await pause();
      status = await ai.experimental_getBatchStatus({ provider, batch });
    } while (status.status === "pending");
    return status;
  };
  const results = async (batch) => {
    const all = [];
    for await (const item of ai.experimental_getBatchResults({ provider, batch })) all.push(item);
    return all;
  };

  const batch = await start("sim/small", 5);
  assert.equal(batch.status, "pending");
  assert.equal((await wait(batch)).status, "completed");
  const items = await results(batch);
  assert.deepEqual(items.map((item) => item.id).sort(), ["r-0", "r-1", "r-2", "r-3", "r-4"]);
  assert.ok(items.every((item) => item.status === "succeeded" && item.text.length > 0), JSON.stringify(items));

  const slow = await start("slow/small", 40);
  while ((await ai.experimental_getBatchStatus({ provider, batch: slow })).rawStatus === "validating") await pause();
  await ai.experimental_cancelBatch({ provider, batch: slow });
  await wait(slow);
  assert.ok((await results(slow)).some((item) => item.status === "cancelled"));

  const listed = await ai.experimental_listBatches({ provider, limit: 1 });
  assert.deepEqual(listed.batches.map(({ id }) => id), [slow.id]);
}

answers()
  .then(batches)
  .then(() => console.log("ok"))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
