// OpenAI's Agents SDK for Node at its own default address; one JSON line of what it saw. Run by test_agents_node.py.
//
// node agents_realtime.mjs turn|tool|barge WSS_URL_OF_THE_TWIN EK

import { createRequire } from "node:module";
import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } from "@openai/agents/realtime";
import { z } from "zod";

const require = createRequire(import.meta.url);
const { WebSocket } = require("ws");
const [scenario, twin, apiKey] = process.argv.slice(2);
const FRAME_MS = 20;
const FRAME_BYTES = 24 * FRAME_MS * 2;

let dialled = "";
let words = Buffer.alloc(0);
const cities = [];
const events = [];

function say(milliseconds) {
  const samples = new Int16Array(milliseconds * 24);
  samples.forEach((_, index) => (samples[index] = 8000 * Math.cos((2 * Math.PI * 440 * index) / 24000)));
  words = Buffer.concat([words, Buffer.from(samples.buffer)]);
}

function frame() {
  const next = Buffer.alloc(FRAME_BYTES);
  words.copy(next, 0, 0, FRAME_BYTES);
  words = words.subarray(FRAME_BYTES);
  return next;
}

const weather = tool({
  name: "weather",
  description: "The weather of a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    cities.push(city);
    return "fog";
  },
});

const transport = new OpenAIRealtimeWebSocket({
  createWebSocket: async ({ url, apiKey: key }) => {
    dialled = url;
    return new WebSocket(twin + new URL(url).search, { headers: { authorization: `Bearer ${key}` } });
  },
  skipOpenEventListeners: false,
});
const agent = new RealtimeAgent({ name: "twin", instructions: "Be brief.", tools: scenario === "tool" ? [weather] : [] });
const session = new RealtimeSession(agent, { transport, model: "gpt-realtime", tracingDisabled: true });
const audio_ms = () => Math.round(heard / 48);
let heard = 0;

const over = new Promise((resolve, reject) => {
  session.on("error", ({ error }) => reject(new Error(JSON.stringify(error))));
  session.on("transport_event", ({ type }) => events.includes(type) || events.push(type));
  session.on("audio", ({ data }) => (heard += data.byteLength));
  session.on("audio_interrupted", () => events.push("audio_interrupted"));
  let answers = 0;
  session.on("agent_end", () => {
    answers += 1;
    const wanted = { turn: 1, tool: 2, barge: 2 }[scenario];
    if (answers === wanted) resolve();
  });
  session.on("audio_start", () => {
    if (scenario === "barge" && answers === 0) setTimeout(() => say(600), 500);
  });
});

await session.connect({ apiKey });
const microphone = setInterval(() => session.sendAudio(frame().buffer.slice(0)), FRAME_MS);
say(600);
await over;
clearInterval(microphone);
session.close();
console.log(JSON.stringify({ dialled, cities, events, audio_ms: audio_ms() }));
process.exit(0);
