// Langfuse's current JavaScript SDK: spans over OTLP, scores as a batch, the OpenAI integration.
// Only LANGFUSE_BASE_URL and the keys say where the telemetry goes.

import { LangfuseClient } from "@langfuse/client";
import { observeOpenAI } from "@langfuse/openai";
import { LangfuseSpanProcessor } from "@langfuse/otel";
import { propagateAttributes, startActiveObservation } from "@langfuse/tracing";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import OpenAI from "openai";

const question = [{ role: "user", content: "What is a collector?" }];
const provider = new NodeTracerProvider({ spanProcessors: [new LangfuseSpanProcessor()] });
provider.register();
const langfuse = new LangfuseClient();
const openai = observeOpenAI(new OpenAI({ maxRetries: 0 }));

async function ask(agent) {
  agent.update({ input: { question: "What?" } });
  await startActiveObservation(
    "answer",
    async (generation) => {
      generation.update({
        model: "gpt-4o-mini",
        modelParameters: { temperature: 0.3 },
        input: question,
        output: { role: "assistant", content: "It gathers." },
        usageDetails: { input: 26, input_cached_tokens: 16, output: 17, total: 59 },
        costDetails: { input: 0.001, output: 0.002, total: 0.003 },
      });
      langfuse.score.observation(generation, {
        name: "tone",
        value: "friendly",
        dataType: "CATEGORICAL",
      });
    },
    { asType: "generation" },
  );
  await openai.chat.completions.create({ model: "gpt-4o-mini", messages: question });
  await openai.chat.completions
    .create({ model: "no-such-model", messages: question })
    .catch(() => {});
  langfuse.score.trace(agent, { name: "helpfulness", value: 0.9, comment: "good" });
  agent.update({ output: { answer: "It gathers." } });
}

await propagateAttributes(
  {
    traceName: "support",
    userId: "user-1",
    sessionId: "session-1",
    tags: ["beta", "web"],
    metadata: { tenant: "acme" },
  },
  () => startActiveObservation("ask", ask, { asType: "agent" }),
);
await langfuse.flush();
await provider.shutdown();
