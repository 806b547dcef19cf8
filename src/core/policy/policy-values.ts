import { showDuration, showSize, toDurationMs, toSizeBytes } from "../config/quantity-text.ts";
import { show } from "../config/check-options.ts";
import { codeName } from "../errors/code-name.ts";
import { largestKnownCode, type Code } from "../errors/errors.ts";

/** Time between attempts: a duration, or a quantile of the rpc's own durations. */
export type HedgeDelay = { readonly ms: number } | { readonly quantile: number };

/** The value of a field of a policy: durations in milliseconds, sizes in bytes. */
export type PolicyValue = number | boolean | string | readonly Code[] | HedgeDelay;

/** A kind of values: how they are read from a contract or from code, and written for people. */
export interface ValueKind {
  /** @throws Error that says what is allowed */
  read(value: unknown): PolicyValue;
  show(value: PolicyValue): string;
}

/** A duration above 0: a text in contracts, milliseconds in code. */
export const duration: ValueKind = {
  read(value) {
    const ms = typeof value === "string" ? toDurationMs(value) : value;
    if (typeof ms === "number" && ms > 0 && ms < 2 ** 31) return ms;
    throw new Error("must be a duration above 0, such as 250ms, 5s, 1.5s or 2m");
  },
  show: (value) => showDuration(Number(value)),
};

/** A size: a text in contracts, bytes in code. */
export const size: ValueKind = {
  read: (value) => toSizeBytes(String(value)),
  show: (value) => showSize(Number(value)),
};

/** A whole number. */
export function count(least: number, most: number): ValueKind {
  const limit = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
  return {
    read(value) {
      const isGood = Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
      if (isGood) return Number(value);
      throw new Error(`must be a whole number, ${limit}`);
    },
    show: String,
  };
}

/** A number. @param above whether the least number itself is excluded */
export function quantity(least: number, most: number, above = false): ValueKind {
  const from = above ? `above ${least}` : `at least ${least}`;
  const allowed = most === Number.POSITIVE_INFINITY ? from : `${from} and at most ${most}`;
  return {
    read(value) {
      const isGood =
        typeof value === "number" &&
        (above ? value > least : value >= least) &&
        value <= most &&
        Number.isFinite(value);
      if (isGood) return value;
      throw new Error(`must be a number, ${allowed}`);
    },
    show: String,
  };
}

/** True or false. */
export const flag: ValueKind = {
  read(value) {
    if (typeof value === "boolean") return value;
    throw new Error("must be true or false");
  },
  show: String,
};

/** One of some words. */
export function word(...words: readonly string[]): ValueKind {
  return {
    read(value) {
      if (typeof value === "string" && words.includes(value)) return value;
      throw new Error(`must be one of ${words.join(", ")}`);
    },
    show: String,
  };
}

/** A list of codes of errors. */
export const codes: ValueKind = {
  read(value) {
    const isCode = (code: unknown): code is Code =>
      Number.isInteger(code) && Number(code) >= 1 && Number(code) <= largestKnownCode;
    if (Array.isArray(value) && value.length > 0 && value.every(isCode)) return value;
    throw new Error("must be a list of codes of errors, such as UNAVAILABLE");
  },
  // A value of this kind is a list of codes, as it was read above.
  show: (value) => (value as readonly Code[]).map(codeName).join(", "),
};

/** A duration, or a quantile such as `p95`. */
export const delay: ValueKind = {
  read(value) {
    const percent = typeof value === "string" ? /^p(\d{1,2}(?:\.\d+)?)$/.exec(value)?.[1] : undefined;
    if (percent !== undefined && Number(percent) > 0)
      return { quantile: Number((Number(percent) / 100).toFixed(8)) };
    if (value === 0 || value === "0") return { ms: 0 };
    try {
      return { ms: Number(duration.read(value)) };
    } catch {
      throw new Error("must be a duration such as 50ms, or a quantile such as p95");
    }
  },
  show(value) {
    const time = value as HedgeDelay; // As it was read above.
    return "ms" in time ? showDuration(time.ms) : `p${Number((time.quantile * 100).toFixed(6))}`;
  },
};

/** A value that cannot be used, for errors. */
export function showWrong(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : show(value);
}
