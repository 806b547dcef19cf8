import type { CallContext } from "../call/context.ts";
import { show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";
import { cookieOf, headerOf } from "./caller-request.ts";

/** A test of one header or one cookie of the caller's request: one of `header` and `cookie`, and one of the tests. */
export interface RequestTest {
  /** Name of the header, in any letter case. Several values of it are one text, joined by commas. */
  readonly header?: string;
  /** Name of the cookie, in exactly this spelling. */
  readonly cookie?: string;
  /** The whole value. */
  readonly is?: string;
  /** The begin of the value. */
  readonly prefix?: string;
  /** The whole value, one of these. */
  readonly oneOf?: readonly string[];
  /** Whether there is such a header or cookie at all. */
  readonly present?: boolean;
}

/** Whether the request of a call passes a test. */
export type Matcher = (context: CallContext) => boolean;

const nouns = ["header", "cookie"] as const;
const verbs = ["is", "prefix", "oneOf", "present"] as const;

/** A name of a header or cookie (RFC 9110, 5.6.2). */
const token = /^[\w!#$%&'*+.^`|~-]+$/;

/**
 * Compiles a test.
 *
 * @param place of the test, for errors
 * @param also further members that it may have
 * @throws SetupError naming place and member
 */
export function matcherOf(test: RequestTest, place: string, also: readonly string[] = []): Matcher {
  const value = valueReader(test, place, also);
  const [verb, second] = verbs.filter((name) => test[name] !== undefined);
  if (verb === undefined || second !== undefined) {
    throw new SetupError(`${place}: give one of ${verbs.join(", ")}, not ${show(test)}`);
  }
  const { is, prefix, oneOf, present } = test;
  if (typeof is === "string") return (context) => value(context) === is;
  if (typeof prefix === "string") return (context) => value(context)?.startsWith(prefix) === true;
  if (typeof present === "boolean") return (context) => (value(context) !== undefined) === present;
  if (Array.isArray(oneOf) && oneOf.length > 0 && oneOf.every((text) => typeof text === "string")) {
    const values: ReadonlySet<string | undefined> = new Set(oneOf);
    return (context) => values.has(value(context));
  }
  const due = verb === "present" ? "true or false" : verb === "oneOf" ? "a list of texts" : "a text";
  throw new SetupError(`${place}: ${verb} must be ${due}, not ${show(test[verb])}`);
}

/** The reader of the header or cookie that `from` names. @throws SetupError naming place and member */
export function valueReader(
  from: { readonly header?: string; readonly cookie?: string },
  place: string,
  also: readonly string[] = [],
): (context: CallContext) => string | undefined {
  if (typeof from !== "object" || from === null) {
    throw new SetupError(`${place} must be an object, not ${show(from)}`);
  }
  const known = [...nouns, ...verbs, ...also];
  const [unknown] = Object.keys(from).filter((name) => !known.includes(name));
  if (unknown !== undefined) throw new SetupError(`${place}: there is no ${unknown}`);
  const { header, cookie } = from;
  if ((header === undefined) === (cookie === undefined)) {
    throw new SetupError(`${place}: give a header or a cookie, not ${show(from)}`);
  }
  const name: unknown = header ?? cookie;
  if (typeof name !== "string" || !token.test(name)) {
    throw new SetupError(
      `${place}: ${show(name)} is no name of a ${header === undefined ? "cookie" : "header"}`,
    );
  }
  if (header === undefined) return (context) => cookieOf(context, name);
  const lower = name.toLowerCase();
  return (context) => headerOf(context, lower);
}
