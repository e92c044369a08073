// Decide when a request is sent again: functions without a clock.

/** Answers after which the same request may do better. */
export const STATUSES: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
const FIRST_SECONDS = 0.25;
const LONGEST_SECONDS = 8;

/**
 * Return the seconds to wait before the next try, never less than the server asks for.
 *
 * Chance spreads those who were refused at the same time.
 *
 * @param tries how often it was tried, from 1
 * @param retryAfter the seconds that the server asks for; undefined when it does not
 * @param chance a number from 0 to 1
 */
export function pause(tries: number, retryAfter: number | undefined, chance: number): number {
  const spread = Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** Math.min(tries, 16)) / 2;
  return (retryAfter ?? spread) + spread * chance;
}

/** Return the seconds that `Retry-After` asks for, a number or a date; undefined for none. */
export function retryAfterOf(told: string | null, now: Date): number | undefined {
  const text = (told ?? "").trim();
  if (/^\d+$/.test(text)) return Number(text.slice(0, 9));
  if (!/^[A-Za-z]{3,9},/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - now.getTime()) / 1000);
}
