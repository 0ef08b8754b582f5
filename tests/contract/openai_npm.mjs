// The official `openai` npm package against the twin; one JSON line of what it saw. Run by test_openai_npm.py.
//
// node openai_npm.mjs mint|turn|refused BASE_URL KEY

import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { WebSocket } from "ws";

globalThis.WebSocket = WebSocket; // what a browser brings, and Node 20 doesn't

const [scenario, baseURL, apiKey] = process.argv.slice(2);
const SAMPLES_PER_MS = 24;

function speech(milliseconds) {
  const samples = new Int16Array(milliseconds * SAMPLES_PER_MS);
  samples.forEach((_, index) => (samples[index] = 8000 * Math.cos((2 * Math.PI * 440 * index) / 24000)));
  return Buffer.from(samples.buffer).toString("base64");
}

const silence = (milliseconds) => Buffer.alloc(milliseconds * SAMPLES_PER_MS * 2).toString("base64");

function open(key, { model = "gpt-realtime" } = {}) {
  return new OpenAIRealtimeWebSocket({ model }, new OpenAI({ baseURL, apiKey: key }));
}

async function mint() {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const session = { type: "realtime", model: "gpt-realtime", audio: { output: { voice: "marin" } } };
  const secret = await client.realtime.clientSecrets.create({ expires_after: { seconds: 60 }, session });
  const errors = [];
  for (const attempt of [
    () => client.realtime.clientSecrets.create({ expires_after: { seconds: 9 }, session }),
    () => client.realtime.clientSecrets.create({ session: { ...session, voice: "marin" } }),
    () => new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).realtime.clientSecrets.create({ session }),
  ]) {
    const { constructor, status, code, param, requestID } = await attempt().catch((error) => error);
    errors.push({ name: constructor.name, status, code, param, hasRequestId: requestID.startsWith("req_") });
  }
  return { value: secret.value, voice: secret.session.audio.output.voice, errors };
}

function turn() {
  const realtime = open(apiKey);
  const events = [];
  return new Promise((resolve, reject) => {
    realtime.on("error", reject);
    realtime.on("event", (event) => {
      if (!events.includes(event.type)) events.push(event.type);
    });
    realtime.on("session.created", () => {
      realtime.send({ type: "input_audio_buffer.append", audio: speech(400) });
      realtime.send({ type: "input_audio_buffer.append", audio: silence(600) });
    });
    realtime.on("response.done", ({ response }) => {
      realtime.socket.addEventListener("close", ({ code }) =>
        resolve({ protocol: realtime.socket.protocol, events, status: response.status, close: code }),
      );
      realtime.close();
    });
  });
}

function refused() {
  const realtime = open(apiKey, { model: "gpt-realtime-2" });
  return new Promise((resolve) => {
    realtime.on("error", (error) => {
      realtime.socket.addEventListener("close", ({ code, reason }) =>
        resolve({ name: error.constructor.name, code: error.error.code, close: code, reason }),
      );
    });
  });
}

console.log(JSON.stringify(await { mint, turn, refused }[scenario]()));
process.exit(0);
