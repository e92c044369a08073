export { Client, type AddOptions, type CallOptions, type ClientOptions } from "./client.js";
export { BadAnswer, ClientError, InputError, Problem, Unreachable } from "./errors.js";
export {
  hasEnded,
  type Args,
  type Job,
  type JobEvent,
  type JobOptions,
  type NewJob,
  type Status,
} from "./jobs.js";
