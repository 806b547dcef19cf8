import type { ReleasedFor, SettledAs } from "./subscription-counts.ts";

/** What becomes of a message. */
export type Disposition =
  | { readonly kind: "settle"; readonly as: SettledAs }
  /** It waits in its lane, at the head. */
  | { readonly kind: "hold"; readonly ms: number }
  | { readonly kind: "release"; readonly why: ReleasedFor }
  /** Of a batch: its messages are run one by one. */
  | { readonly kind: "alone" };

/** The message is taken off the broker. */
export function settle(as: SettledAs): Disposition {
  return { kind: "settle", as };
}

/** The message waits in its lane. @param ms how long, in milliseconds */
export function hold(ms: number): Disposition {
  return { kind: "hold", ms };
}

/** The broker delivers the message again. */
export function release(why: ReleasedFor): Disposition {
  return { kind: "release", why };
}
