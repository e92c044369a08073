// Read server-sent events, as the standard has them, and come back where a stream was cut.

import { BadAnswer, PREFIX, Problem } from "./errors.js";
import { hasEnded, jobOf, type JobEvent } from "./jobs.js";
import { pause } from "./retrying.js";
import { now, sleep, type Stream, type Wire } from "./wire.js";

/** A stream that tells nothing for so long is dead: the gateway says every 15 s that it lives. */
const SILENCE_SECONDS = 45;
/** No event is longer. */
const MOST_CHARACTERS = 4 * 1024 * 1024;

/** One event as it stands in the stream. */
export interface Told {
  id: string;
  kind: string;
  data: string;
}

/** Makes events of the text of a stream. */
export class Parser {
  #rest = "";
  #id = "";
  #kind = "";
  #data: string[] = [];
  #size = 0;

  /** Take text, and return the events that it completes. */
  feed(text: string): Told[] {
    const found: Told[] = [];
    this.#rest += text;
    this.#size += text.length;
    if (this.#size > MOST_CHARACTERS) {
      throw new BadAnswer("the stream of events has one that is too long");
    }
    // A CR at the end may be the first half of a CR LF.
    const held = this.#rest.endsWith("\r") ? "\r" : "";
    const lines = this.#rest.slice(0, this.#rest.length - held.length).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + held;
    for (const line of lines) {
      const told = this.#line(line);
      if (told) found.push(told);
    }
    return found;
  }

  #line(line: string): Told | undefined {
    if (line === "") {
      const told = this.#data.length
        ? { id: this.#id, kind: this.#kind, data: this.#data.join("\n") }
        : undefined;
      this.#kind = "";
      this.#data = [];
      this.#size = 0;
      return told;
    }
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#kind = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "") this.#size = 0;
    return undefined;
  }
}

/** Yield the changes of a job until it has ended. */
export async function* events(
  wire: Wire,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<JobEvent, void, undefined> {
  let last = "";
  for (let failures = 0; ; failures += 1) {
    if (failures) await sleep(pause(failures, undefined, Math.random()), signal);
    const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
    const open = (): Promise<Stream> => wire.stream(path, headers, signal);
    const { body, close } = await wire.trying(open, now() + wire.patienceSeconds, signal);
    try {
      for await (const told of stream(body)) {
        const event = eventOf(told);
        last = told.id || last;
        failures = 0;
        yield event;
        if (hasEnded(event.job)) return;
      }
      signal?.throwIfAborted();
    } finally {
      // Also where the caller leaves the loop.
      close();
    }
  }
}

/** Yield what a stream tells; one that is cut, or silent for too long, ends. */
async function* stream(body: ReadableStream<Uint8Array>): AsyncGenerator<Told, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new Parser();
  try {
    for (;;) {
      const chunk = await nextOf(reader);
      if (!chunk) return;
      yield* parser.feed(decoder.decode(chunk, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function nextOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Uint8Array | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), SILENCE_SECONDS * 1000);
  });
  try {
    return (await Promise.race([reader.read(), silence]))?.value;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

function eventOf(told: Told): JobEvent {
  if (told.kind === "gone") {
    const detail = "the action of the job has been deleted";
    throw new Problem(410, { type: `${PREFIX}gone`, detail });
  }
  let document: unknown;
  try {
    document = JSON.parse(told.data);
  } catch {
    document = undefined;
  }
  const job = jobOf(document);
  return { id: told.id, kind: told.kind || job.status, job, result: job.result ?? null };
}
