import { showDuration, toDurationMs } from "./quantity-text.ts";

/** So many calls in a time: in windows of a length, or in a calendar period of UTC. */
export type Rate =
  | { readonly count: number; readonly windowMs: number }
  | { readonly count: number; readonly calendar: CalendarPeriod };

/** A period of the calendar, in UTC. */
export type CalendarPeriod = "day" | "month";

const hourMs = 3_600_000;

/**
 * Reads `100/1m`, `5/250ms`, `1000/hour`, `5000/day` or `1000000/month`.
 *
 * @throws Error for anything else
 */
export function parseRate(text: string): Rate {
  const [, number = "", time = ""] = /^(\d{1,15})\/(\S+)$/.exec(text) ?? [];
  const count = Number(number);
  if (count < 1) throw new Error("must be a rate such as 100/1m, 1000/hour, 5000/day or 100000/month");
  if (time === "day" || time === "month") return { count, calendar: time };
  if (time === "hour") return { count, windowMs: hourMs };
  const windowMs = toDurationMs(time);
  if (windowMs < 1) throw new Error("must have a time of at least 1ms");
  return { count, windowMs };
}

/** A rate as `parseRate` reads it. */
export function showRate(rate: Rate): string {
  return `${rate.count}/${"calendar" in rate ? rate.calendar : showDuration(rate.windowMs)}`;
}
