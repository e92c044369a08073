// Jobs as the API has them.

import { BadAnswer, InputError } from "./errors.js";

export type Status =
  | "scheduled"
  | "waiting"
  | "pending"
  | "running"
  | "retrying"
  | "complete"
  | "failed"
  | "canceled";

/** A job as it was when the gateway answered: its document. Dates are RFC 3339 texts in UTC. */
export interface Job {
  /** The id. */
  job: string;
  status: Status;
  action_id: number;
  hook: string;
  args: unknown;
  group: string;
  created_at: string | null;
  due_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  attempts: number;
  progress: { fraction: number; text: string } | null;
  links: { self: string; result: string; events: string };
  /** What the handler returned; only where it was waited for. */
  result?: unknown;
  /** By which the job can be followed; only in the answer to a ticket. */
  token?: string;
}

/** What an action is to be, beside its hook and its args. */
export interface JobOptions {
  /** When: a Date, Unix seconds, or an ISO text. */
  at?: Date | number | string | undefined;
  /** How long from now: seconds, or a text such as `10m`. */
  in?: number | string | undefined;
  cron?: string | undefined;
  interval?: number | string | undefined;
  tz?: string | undefined;
  group?: string | undefined;
  priority?: number | undefined;
  unique?: boolean | undefined;
  /** Jobs that must have ended before it runs. */
  after?: readonly (Job | string)[] | undefined;
  /** Where its end is reported. */
  callback?: { url: string } | { hook: string; group?: string } | undefined;
}

export type Args = readonly unknown[] | Readonly<Record<string, unknown>>;

/** A job to be added. */
export interface NewJob extends JobOptions {
  hook: string;
  args?: Args;
}

/** A change of a job. */
export interface JobEvent {
  id: string;
  /** The status that the job has got. */
  kind: string;
  job: Job;
  /** What the handler returned, where the job is complete. */
  result: unknown;
}

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Return whether a job is complete, failed or canceled. */
export function hasEnded(job: Job): boolean {
  return job.status === "complete" || job.status === "failed" || job.status === "canceled";
}

/** Return the id of a job. */
export function idOf(job: Job | string): string {
  const id: unknown = typeof job === "string" ? job : job?.job;
  if (typeof id !== "string" || !ID.test(id)) throw new InputError("job: a Job, or the id of one");
  return id;
}

/** Return the path of a job. */
export function pathOf(job: Job | string): string {
  return `/v1/jobs/${idOf(job)}`;
}

/** Return a job to be added as JSON in one line; the gateway checks its fields. */
export function bodyOf(job: NewJob): string {
  const { hook, args, at, after, ...rest } = job;
  if (at instanceof Date && Number.isNaN(at.getTime())) throw new InputError("at: no valid date");
  const told = {
    ...rest,
    hook,
    args: args ?? [],
    at: at instanceof Date ? at.toISOString() : at,
    after: after?.length ? after.map(idOf) : undefined,
  };
  // JSON.stringify would write NaN and Infinity as null, and leave functions out.
  try {
    return JSON.stringify(told, checked);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError("JSON cannot tell this job");
  }
}

function checked(name: string, value: unknown): unknown {
  const isNumber = typeof value === "number" && !Number.isFinite(value);
  if (isNumber || typeof value === "function" || typeof value === "symbol") {
    throw new InputError(`JSON cannot tell this job: ${name}`);
  }
  return value;
}

/** Return the job of a document. */
export function jobOf(told: unknown): Job {
  const job = told as Job | null;
  const isOne =
    typeof job === "object" &&
    job !== null &&
    typeof job.job === "string" &&
    typeof job.status === "string" &&
    typeof job.action_id === "number" &&
    typeof job.hook === "string" &&
    typeof job.attempts === "number";
  if (!isOne) throw new BadAnswer("the answer is no job: check the address of the gateway");
  return job;
}

/** Return the jobs of a list's document. */
export function jobsOf(told: unknown): Job[] {
  const jobs = (told as { jobs?: unknown } | null)?.jobs;
  if (!Array.isArray(jobs)) {
    throw new BadAnswer("the answer is no list of jobs: check the address of the gateway");
  }
  return jobs.map(jobOf);
}
