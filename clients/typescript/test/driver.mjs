// Runs commands with the client: one JSON object a line comes in, and one answer a line goes out.
// Usage: node driver.mjs FOLDER_OF_THE_BUILD

import { createInterface } from "node:readline";
import { inspect } from "node:util";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { Client, Problem } = await import(new URL("index.js", folder));
const { pause, retryAfterOf } = await import(new URL("retrying.js", folder));

const commands = {
  enqueue: (client, hook, args, options) => client.enqueue(hook, args, options),
  enqueueMany: (client, jobs, options) => client.enqueueMany(jobs, options),
  get: (client, job) => client.get(job),
  wait: (client, job, seconds) => client.wait(job, seconds),
  cancel: (client, job) => client.cancel(job),
  result: (client, job) => client.result(job),
  events: (client, job) => all(client.events(job)),
  jobs: (client, page) => all(client.jobs({ page })),
  pause: (_, tries, retryAfter, chance) => pause(tries, retryAfter ?? undefined, chance),
  retryAfterOf: (_, told, now) => retryAfterOf(told, new Date(now)) ?? null,
  aborted: async (client, method, ...given) => {
    const control = new AbortController();
    const options = { signal: control.signal };
    const found = client[method](...given, options);
    // A generator has not begun before it is asked.
    const done = method === "events" ? all(found) : found;
    control.abort();
    await done;
  },
};

async function all(found) {
  const values = [];
  for await (const value of found) values.push(value);
  return values;
}

function told(error) {
  const { name, message, status, type, kind, field, detail, retryAfter, more } = error;
  const shown = error instanceof Problem ? { status, type, kind, field, detail, retryAfter, more } : {};
  return { name, message, shown: inspect(error, { depth: 9, showHidden: true }), ...shown };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { client: options, do: name, given } = JSON.parse(line, (_, value) =>
    value === "$NaN" ? NaN : value,
  );
  let answer;
  try {
    const client = new Client(options.url, options.key, options);
    const value = await commands[name](client, ...given);
    answer = { value, shown: inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client) };
  } catch (error) {
    answer = { error: told(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
