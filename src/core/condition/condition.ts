import { createRegistry, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { loadPeer } from "../config/optional-peer.ts";
import { SetupError } from "../errors/setup-error.ts";
import { identifiersOf } from "./identifiers.ts";

/** What a condition in CEL may speak of. */
export interface ConditionInput {
  /** The request; undefined where there is none yet. */
  readonly request: Message | undefined;
  /** Who makes the call. */
  readonly auth: ConditionObject;
  /** How the call has come. */
  readonly call: ConditionObject;
}

/** Values as CEL has them: texts, numbers, booleans, lists and maps. */
export interface ConditionObject {
  readonly [name: string]: unknown;
}

/** A condition that was compiled. */
export interface Condition {
  /** Whether it reads the request: without one it does not hold. */
  readonly readsRequest: boolean;
  /** Whether it holds. What cannot be computed, or is neither true nor false, does not. */
  holds(input: ConditionInput): boolean;
}

const variables = ["request", "auth", "call"];

/**
 * Compiles a condition in CEL (https://cel.dev) over `request`, the message, `auth` and `call`.
 *
 * @param input type of the request
 * @param place where the condition is written, for errors
 * @throws SetupError for a text that is no CEL, for a name that is none of the three, for a field that the request does
 *   not have, and where the package `@bufbuild/cel` is not installed
 */
export async function compileCondition(text: string, input: DescMessage, place: string): Promise<Condition> {
  const { celEnv, isCelError, parse, plan } = await loadPeer(
    "@bufbuild/cel",
    `${place}: a condition`,
    () => import("@bufbuild/cel"),
  );
  let parsed;
  try {
    parsed = parse(text);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new SetupError(`${place}: ${JSON.stringify(text)} is no condition in CEL: ${problem}`, { cause });
  }
  const { free, selected } = identifiersOf(parsed.expr);
  for (const name of free) {
    if (variables.includes(name)) continue;
    throw new SetupError(
      `${place}: a condition knows ${variables.join(", ")}, and no ${JSON.stringify(name)}`,
    );
  }
  for (const field of selected.get("request") ?? []) {
    if (input.fields.some(({ name }) => name === field)) continue;
    throw new SetupError(`${place}: ${input.typeName} has no field ${JSON.stringify(field)}`);
  }
  const run = plan(celEnv({ registry: createRegistry(input) }), parsed.expr);
  const readsRequest = free.has("request");
  return {
    readsRequest,
    holds({ request, auth, call }) {
      if (readsRequest && request === undefined) return false;
      try {
        const message = request === undefined ? null : reflect(input, request);
        const result = run({ request: message, auth: toCel(auth), call: toCel(call) });
        return !isCelError(result) && result === true;
      } catch {
        return false;
      }
    },
  };
}

/** Objects are maps to CEL, in any depth. */
function toCel(value: unknown): CelValue {
  if (Array.isArray(value)) return value.map(toCel);
  if (value instanceof Set) return [...value].map(toCel);
  if (typeof value === "object" && value !== null) {
    return new Map(Object.entries(value).map(([name, member]) => [name, toCel(member)]));
  }
  return value as string | number | boolean | null; // Of JSON.
}

type CelValue = string | number | boolean | null | CelValue[] | Map<string, CelValue>;
