import { formatPosition, parsePosition, type Position } from "../../room/position.ts";

/**
 * A cursor as it stands in NATS, which ends no message of a stream by itself: with the time until which it is known.
 *
 * @param ttlMs how long it is known, in milliseconds; undefined for ever
 * @param nowMs milliseconds since 1970
 */
export function cursorText(position: Position, ttlMs: number | undefined, nowMs: number): string {
  const text = formatPosition(position);
  return ttlMs === undefined ? text : `${text} ${Math.ceil(nowMs + ttlMs)}`;
}

/** The position of such a text; undefined for none, `ended` for one whose time is over. */
export function cursorOf(text: string, nowMs: number): Position | "ended" | undefined {
  const [position = "", untilMs] = text.split(" ");
  if (untilMs !== undefined && Number(untilMs) <= nowMs) return "ended";
  return parsePosition(position);
}
