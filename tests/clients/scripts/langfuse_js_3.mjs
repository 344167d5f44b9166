// Langfuse's JavaScript SDK 3: a trace in pieces, sent as batches.
// Only LANGFUSE_BASEURL and the keys say where the telemetry goes.

import { Langfuse } from "langfuse";

const question = [{ role: "user", content: "What is a collector?" }];
const langfuse = new Langfuse();

const trace = langfuse.trace({
  name: "support",
  userId: "user-1",
  sessionId: "session-1",
  tags: ["beta", "web"],
  release: "r1",
  version: "v1",
  metadata: { tenant: "acme" },
  input: { question: "What?" },
});
const span = trace.span({ name: "retrieve", input: { query: "collector" } });
const generation = span.generation({
  name: "answer",
  model: "gpt-4o-mini",
  modelParameters: { temperature: 0.3 },
  input: question,
  completionStartTime: new Date(),
});
generation.end({
  output: { role: "assistant", content: "It gathers." },
  usageDetails: { input: 26, input_cached_tokens: 16, output: 17, total: 59 },
  costDetails: { input: 0.001, output: 0.002, total: 0.003 },
});
span.event({ name: "cache-miss", level: "WARNING", input: { key: "k" } });
span
  .generation({ name: "failed", model: "no-such-model", input: question })
  .end({ level: "ERROR", statusMessage: "The model does not exist" });
span.end({ output: ["document"] });
trace.score({ name: "helpfulness", value: 0.9, comment: "good" });
generation.score({ name: "tone", value: "friendly", dataType: "CATEGORICAL" });
trace.update({ output: { answer: "It gathers." } });
await langfuse.shutdownAsync();
