// The client: a method for each thing that can be done with jobs.

import { InputError } from "./errors.js";
import { events } from "./events.js";
import {
  bodyOf,
  hasEnded,
  jobOf,
  jobsOf,
  pathOf,
  type Args,
  type Job,
  type JobEvent,
  type JobOptions,
  type NewJob,
} from "./jobs.js";
import { now, Wire } from "./wire.js";

const LONGEST_POLL_SECONDS = 30;
const MOST_IN_BATCH = 1000;

export interface ClientOptions {
  /** The seconds after which one try is given up; 10 unless told. */
  timeoutSeconds?: number;
  /** The seconds in which a request that may do better is tried again; 60 unless told. */
  patienceSeconds?: number;
  /** Another fetch than the global one. */
  fetch?: typeof fetch;
}

/** What every call takes: a signal that ends it. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** What a call that adds jobs takes. */
export interface AddOptions extends CallOptions {
  /** The idempotency key, where the call itself may be repeated, such as the number of an order. */
  key?: string | null | undefined;
}

/** Adds jobs through a gateway, and follows them to their end. */
export class Client {
  readonly #wire: Wire;

  /**
   * @param url the address of the gateway, with its base path, such as `https://example.com/queue`
   * @param key what `wpbridge keys add` or `wpbridge keys token` printed; never give a browser a key
   */
  constructor(url: string, key: string, options: ClientOptions = {}) {
    this.#wire = new Wire(
      url,
      key,
      options.timeoutSeconds ?? 10,
      options.patienceSeconds ?? 60,
      options.fetch ?? globalThis.fetch,
    );
  }

  /**
   * Add a job, and return it once it is committed.
   *
   * The idempotency key is made here, and stays the same over all tries, so the job is added once
   * whatever happens on the way. After an `Unreachable` nobody knows whether it was added: call
   * again with the same `key`.
   */
  async enqueue(hook: string, args: Args = [], options: JobOptions & AddOptions = {}): Promise<Job> {
    const { key, signal, ...rest } = options;
    const body = bodyOf({ ...rest, hook, args });
    const headers = { "Content-Type": "application/json", ...this.#idempotency(key) };
    return jobOf(await this.#wire.ask({ method: "POST", path: "/v1/jobs", body, headers, signal }));
  }

  /** Add up to 1,000 jobs in one transaction: all of them, or none. */
  async enqueueMany(jobs: Iterable<NewJob>, options: AddOptions = {}): Promise<Job[]> {
    const lines = Array.from(jobs, bodyOf);
    if (lines.length > MOST_IN_BATCH) {
      throw new InputError("jobs: at most 1,000 in one transaction: call it twice");
    }
    if (!lines.length) return [];
    const key = this.#idempotency(options.key);
    const headers = { "Content-Type": "application/x-ndjson", ...key };
    const body = lines.join("\n");
    const { signal } = options;
    return jobsOf(
      await this.#wire.ask({ method: "POST", path: "/v1/jobs:batch", body, headers, signal }),
    );
  }

  /** Return a job as it is now. A Problem of the kind `gone`: its action was deleted. */
  async get(job: Job | string, options: CallOptions = {}): Promise<Job> {
    return jobOf(await this.#wire.ask({ method: "GET", path: pathOf(job), ...options }));
  }

  /** Return a job as soon as it has ended, or as it is after so many seconds. */
  async wait(job: Job | string, seconds: number, options: CallOptions = {}): Promise<Job> {
    const until = now() + seconds;
    for (;;) {
      const left = Math.max(0, until - now());
      const poll = Math.min(left, LONGEST_POLL_SECONDS);
      const told = await this.#wire.ask({
        method: "GET",
        path: `${pathOf(job)}?wait=${poll.toFixed(3)}`,
        timeoutSeconds: poll + this.#wire.timeoutSeconds,
        patienceSeconds: Math.min(this.#wire.patienceSeconds, left),
        ...options,
      });
      const found = jobOf(told);
      if (hasEnded(found) || now() >= until) return found;
    }
  }

  /** Return what the job's handler returned. A Problem of the kind `no-result` while there is none. */
  async result(job: Job | string, options: CallOptions = {}): Promise<unknown> {
    return this.#wire.ask({ method: "GET", path: `${pathOf(job)}/result`, ...options });
  }

  /**
   * Yield the job as it is, then each change, until it has ended.
   *
   * A stream that is cut is taken up where it was. Leaving the loop closes the connection.
   */
  events(job: Job | string, options: CallOptions = {}): AsyncGenerator<JobEvent, void, undefined> {
    return events(this.#wire, `${pathOf(job)}/events`, options.signal);
  }

  /** Cancel a job that has not started. A Problem of the kind `conflict` when it runs or has ended. */
  async cancel(job: Job | string, options: CallOptions = {}): Promise<Job> {
    return jobOf(await this.#wire.ask({ method: "DELETE", path: pathOf(job), ...options }));
  }

  /** Yield the jobs of this key, the newest first; `page` of them with each request. */
  async *jobs(
    options: CallOptions & { page?: number } = {},
  ): AsyncGenerator<Job, void, undefined> {
    const { page = 50, signal } = options;
    for (let before = ""; ; ) {
      const path = `/v1/jobs?limit=${Number(page)}${before && `&before=${encodeURIComponent(before)}`}`;
      const told = await this.#wire.ask({ method: "GET", path, signal });
      yield* jobsOf(told);
      before = String((told as { next?: string | null }).next ?? "");
      if (!before) return;
    }
  }

  /** Return the header with the idempotency key. A ticket is one itself, and needs none. */
  #idempotency(key: string | null | undefined): Record<string, string> {
    if (!this.#wire.isToken) return { "Idempotency-Key": quoted(key) };
    if (key == null) return {};
    throw new InputError("key: a ticket is the idempotency key itself; leave this out");
  }
}

/** Return an idempotency key as its header has it: a new one when none is given. */
function quoted(key: string | null | undefined): string {
  const told = key ?? newKey();
  if (typeof told !== "string" || !/^[\x20-\x7e]{1,255}$/.test(told)) {
    throw new InputError("key: 1 to 255 visible ASCII characters");
  }
  return `"${told.replace(/[\\"]/g, "\\$&")}"`;
}

/** Return a random key. Browsers have no randomUUID outside of secure contexts. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
