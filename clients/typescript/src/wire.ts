// Send requests and take answers: with the key, within a time, and again where that may help.

import { BadAnswer, ClientError, InputError, Problem, Unreachable } from "./errors.js";
import { pause, retryAfterOf, STATUSES } from "./retrying.js";

const PROBLEM = "application/problem+json";
/** What node calls certificates that it does not trust; browsers do not tell. */
const CERTIFICATE = /^(?:ERR_TLS_CERT|CERT_|UNABLE_TO_|.*SELF_SIGNED)/;

export interface Request {
  method: string;
  path: string;
  body?: string;
  headers?: Record<string, string>;
  timeoutSeconds?: number;
  patienceSeconds?: number;
  signal?: AbortSignal | undefined;
}

/** An answer whose body is still to come. */
export interface Stream {
  body: ReadableStream<Uint8Array>;
  close: () => void;
}

/** Speaks with one gateway. Redirects are not followed, and no cookies are sent. */
export class Wire {
  readonly url: string;
  readonly timeoutSeconds: number;
  readonly patienceSeconds: number;
  /** Whether the key is a JWT: a token for one job, or a ticket. An API key has no dots. */
  readonly isToken: boolean;
  readonly #key: string;
  readonly #fetch: typeof fetch;

  constructor(
    url: string,
    key: string,
    timeoutSeconds: number,
    patienceSeconds: number,
    fetcher: typeof fetch,
  ) {
    this.url = checked(url);
    if (typeof key !== "string" || !/^[\x21-\x7e]+$/.test(key)) {
      throw new InputError("key: what `wpbridge keys add` printed, without spaces");
    }
    if (!(timeoutSeconds > 0 && patienceSeconds >= 0)) {
      throw new InputError("timeoutSeconds: more than 0; patienceSeconds: 0 or more");
    }
    this.#key = key;
    this.isToken = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(key);
    this.timeoutSeconds = timeoutSeconds;
    this.patienceSeconds = patienceSeconds;
    this.#fetch = fetcher;
  }

  /** Return the JSON value of the answer. */
  async ask(request: Request): Promise<unknown> {
    const until = now() + (request.patienceSeconds ?? this.patienceSeconds);
    return this.trying(() => this.#once(request), until, request.signal);
  }

  /** Do it, and again after a failure that may pass, up to a time. */
  async trying<T>(deed: () => Promise<T>, until: number, signal?: AbortSignal): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await deed();
      } catch (error) {
        const mayPass =
          error instanceof Unreachable || (error instanceof Problem && STATUSES.has(error.status));
        const wanted = error instanceof Problem ? error.retryAfter : undefined;
        const seconds = pause(tries, wanted, Math.random());
        if (!mayPass || now() + seconds > until) throw error;
        await sleep(seconds, signal);
      }
    }
  }

  async #once(request: Request): Promise<unknown> {
    const seconds = request.timeoutSeconds ?? this.timeoutSeconds;
    return within(seconds, request.signal, this.url, async (signal) => {
      const answer = await this.#send(request, signal);
      return valueOf(answer, await answer.text());
    });
  }

  /** Return an answer whose body is still to come; the caller closes it. */
  async stream(
    path: string,
    headers: Record<string, string>,
    outer: AbortSignal | undefined,
  ): Promise<Stream> {
    const control = new AbortController();
    const stop = (): void => control.abort(outer?.reason);
    const close = (): void => {
      outer?.removeEventListener("abort", stop);
      control.abort();
    };
    const timed = <T>(deed: () => Promise<T>): Promise<T> =>
      within(this.timeoutSeconds, outer, this.url, (signal) => {
        signal.addEventListener("abort", close, { once: true });
        return deed();
      });
    outer?.addEventListener("abort", stop, { once: true });
    try {
      const answer = await timed(() => this.#send({ method: "GET", path, headers }, control.signal));
      if (answer.status === 200 && kindOf(answer) === "text/event-stream" && answer.body) {
        return { body: answer.body, close };
      }
      valueOf(answer, await timed(() => answer.text()));
      throw new BadAnswer("the answer is no stream of events: check the address of the gateway");
    } catch (error) {
      close();
      throw error;
    }
  }

  #send(request: Request, signal: AbortSignal): Promise<Response> {
    // Called without `this`, as browsers want it.
    const send = this.#fetch;
    return send(`${this.url}${request.path}`, {
      method: request.method,
      headers: { ...request.headers, Authorization: `Bearer ${this.#key}` },
      body: request.body ?? null,
      redirect: "manual",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal,
    });
  }
}

/** Return the time in seconds, by a clock that nobody sets. */
export function now(): number {
  return performance.now() / 1000;
}

/** Wait; a signal ends it with its reason. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Do it within a time. What fails on the way is an Unreachable; the caller's signal ends it. */
async function within<T>(
  seconds: number,
  outer: AbortSignal | undefined,
  url: string,
  deed: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer?.throwIfAborted();
  const control = new AbortController();
  const stop = (): void => control.abort(outer?.reason);
  outer?.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => control.abort(), seconds * 1000);
  try {
    return await deed(control.signal);
  } catch (error) {
    if (error instanceof ClientError) throw error;
    if (outer?.aborted) throw outer.reason;
    if (CERTIFICATE.test(String((error as { cause?: { code?: unknown } }).cause?.code))) {
      throw new BadAnswer(`the certificate of ${url} is not valid`);
    }
    const why = control.signal.aborted ? `within ${seconds} s` : "(the connection failed)";
    throw new Unreachable(`${url} did not answer ${why}`);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", stop);
  }
}

function kindOf(answer: Response): string {
  return (answer.headers.get("Content-Type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

/** Return the JSON value of an answer that is well; throw what it is otherwise. */
function valueOf(answer: Response, body: string): unknown {
  const { status } = answer;
  // Browsers hide what a redirect is.
  if (answer.type === "opaqueredirect" || (status >= 300 && status < 400)) {
    throw new BadAnswer(
      "the answer is a redirect, which is not followed with the key:" +
        " give the client the address to which it leads",
    );
  }
  const kind = kindOf(answer);
  const value = kind === "application/json" || kind === PROBLEM ? parsed(body) : undefined;
  if (!answer.ok) throw problemOf(answer, kind === PROBLEM ? value : undefined);
  if (kind !== "application/json") {
    throw new BadAnswer("the answer is no JSON: check the address of the gateway");
  }
  return value;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new BadAnswer("the answer is no JSON: check the address of the gateway");
  }
}

function problemOf(answer: Response, told: unknown): Problem {
  const document = (typeof told === "object" && told !== null ? told : {}) as Record<string, unknown>;
  const { type, title: _title, status: _status, detail, field, ...more } = document;
  return new Problem(answer.status, {
    type: String(type || "about:blank"),
    detail: String(detail ?? ""),
    field: String(field ?? ""),
    retryAfter: retryAfterOf(answer.headers.get("Retry-After"), new Date()),
    more,
  });
}

function checked(told: string): string {
  let url: URL;
  try {
    url = new URL(told);
  } catch {
    throw new InputError("url: the address of the gateway, such as https://example.com/queue");
  }
  if (!["http:", "https:"].includes(url.protocol) || /[?#]/.test(told)) {
    throw new InputError("url: the address of the gateway, such as https://example.com/queue");
  }
  if (url.username || url.password) {
    throw new InputError("url: without a name and a password; give a key");
  }
  return url.href.replace(/\/+$/, "");
}
