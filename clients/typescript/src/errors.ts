// Every error that the client throws. None of them holds the key, or a request that does.

export const PREFIX = "urn:wpbridge:problem:";

/** The gateway did not do what was asked. */
export class ClientError extends Error {
  override name = "ClientError";
}

/** A value from the caller that cannot be sent. */
export class InputError extends ClientError {
  override name = "InputError";
}

/** The answer is none of a gateway's; check the address. */
export class BadAnswer extends ClientError {
  override name = "BadAnswer";
}

/** The gateway did not answer in time; check the address, and whether it runs. */
export class Unreachable extends ClientError {
  override name = "Unreachable";
}

/** What a problem document has beside its status. */
export interface ProblemFields {
  type?: string;
  detail?: string;
  field?: string;
  retryAfter?: number | undefined;
  more?: Record<string, unknown>;
}

/** The gateway says what is wrong. */
export class Problem extends ClientError {
  override name = "Problem";
  /** The status code of the answer. */
  readonly status: number;
  /** By which programs tell problems apart. */
  readonly type: string;
  /** What is wrong, and what to do, for people. */
  readonly detail: string;
  /** The field of the request that is meant; empty for none. */
  readonly field: string;
  /** The seconds after which the request may be sent again; undefined: not told. */
  readonly retryAfter: number | undefined;
  /** What else the document has, such as the `line` of a batch. */
  readonly more: Record<string, unknown>;

  constructor(status: number, fields: ProblemFields = {}) {
    super(fields.detail ? `${fields.detail} (${status})` : `the gateway answers ${status}`);
    this.status = status;
    this.type = fields.type ?? "about:blank";
    this.detail = fields.detail ?? "";
    this.field = fields.field ?? "";
    this.retryAfter = fields.retryAfter;
    this.more = fields.more ?? {};
  }

  /** The last word of the type, such as `not-found`; empty for a foreign type. */
  get kind(): string {
    return this.type.startsWith(PREFIX) ? this.type.slice(PREFIX.length) : "";
  }
}
