import type { JsonValue, Registry } from "@bufbuild/protobuf";
import type { ExecutionResult, GraphQLError } from "graphql";
import { codeName } from "../../../core/errors/code-name.ts";
import { Code, ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { isMembers } from "../../../core/codec/json-members.ts";
import { detailsToJson } from "../../http/error-body.ts";
import type { Refusal } from "./refusal.ts";
import { causeOf } from "./versions.ts";

/** An error as clients get it. */
export interface ShownError {
  readonly message: string;
  readonly locations?: readonly { readonly line: number; readonly column: number }[] | undefined;
  readonly path?: readonly (string | number)[] | undefined;
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** A result as clients get it. Without `data` the operation was not executed. */
export interface ShownResult {
  readonly errors?: readonly ShownError[];
  readonly data?: unknown;
}

/** The rpcs whose calls have failed with an error. */
const rpcs = new WeakMap<ConnectError, string>();

/** Remembers which rpc has failed. @returns the error */
export function failedRpc(error: ConnectError, rpc: string): ConnectError {
  rpcs.set(error, rpc);
  return error;
}

/** Turns errors of execution and of requests into those that clients get. */
export class ErrorTexts {
  readonly #registry: Registry | undefined;
  readonly #hidesNames: boolean;

  /** @param hidesNames whether texts suggest no names of the schema */
  constructor(registry: Registry | undefined, hidesNames: boolean) {
    this.#registry = registry;
    this.#hidesNames = hidesNames;
  }

  /** The result with its errors in the order of the selection, each thrown error once. */
  result({ data, errors }: ExecutionResult): ShownResult {
    if (errors === undefined || errors.length === 0) return { data };
    const wasExecuted = data !== undefined;
    const seen = new Set<unknown>();
    const inOrder = errors.length === 1 ? errors : errors.toSorted((one, other) => compare(one, other, data));
    const shown: ShownError[] = [];
    for (const error of inOrder) {
      const cause = causeOf(error);
      if (cause instanceof ConnectError) {
        if (seen.has(cause)) continue; // Several fields had the same key.
        seen.add(cause);
      }
      shown.push(this.error(error, wasExecuted));
    }
    return wasExecuted ? { errors: shown, data } : { errors: shown };
  }

  /** @param wasExecuted whether it happened while the operation ran */
  error(error: GraphQLError, wasExecuted: boolean): ShownError {
    const { locations, path, message, extensions } = error;
    const cause = causeOf(error);
    const place = { ...(locations && { locations }), ...(path && { path }) };
    if (cause === undefined || cause === null || isGraphqlError(cause)) {
      const code = codeName(wasExecuted ? Code.Internal : Code.InvalidArgument);
      return { message: this.#textOf(message), ...place, extensions: { code, ...extensions } };
    }
    const failed = toCallError(cause);
    return { message: failed.rawMessage, ...place, extensions: this.extensions(failed) };
  }

  /** What an error says to programs. */
  extensions(error: ConnectError): Readonly<Record<string, unknown>> {
    const details = detailsToJson(error, this.#registry);
    const rpc = rpcs.get(error);
    const violations = violationsIn(details);
    return {
      code: codeName(error.code),
      ...(details.length > 0 && { details }),
      ...(rpc !== undefined && { rpc }),
      ...(violations.length > 0 && { violations }),
    };
  }

  #textOf(message: string): string {
    return this.#hidesNames ? message.replace(/ Did you mean .*$/s, "") : message;
  }
}

/** An error of a request that no operation has. */
export function requestError({ rawMessage, code }: ConnectError): ShownError {
  return { message: rawMessage, extensions: { code: codeName(code) } };
}

/** The answer to a request that is refused. */
export function refusedResult({ message, code }: Refusal): ShownResult {
  return { errors: [{ message, extensions: { code } }] };
}

function isGraphqlError(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "GraphQLError";
}

function violationsIn(details: readonly JsonValue[]): readonly unknown[] {
  return details.flatMap((detail) => {
    const violations = isMembers(detail) ? detail["fieldViolations"] : undefined;
    if (!Array.isArray(violations)) return [];
    return violations
      .filter((violation) => isMembers(violation))
      .map((violation) => ({ field: violation["field"] ?? "", description: violation["description"] ?? "" }));
  });
}

/** By the places in the result: its members are in the order of the selection. */
function compare(one: GraphQLError, other: GraphQLError, data: unknown): number {
  const [first, second] = [one.path ?? [], other.path ?? []];
  let at: unknown = data;
  for (const [index, step] of first.entries()) {
    const beside = second[index];
    if (beside === undefined) return 1;
    if (step !== beside) {
      if (typeof step === "number" && typeof beside === "number") return step - beside;
      const names = isMembers(at) ? Object.keys(at) : [];
      const [left, right] = [names.indexOf(String(step)), names.indexOf(String(beside))];
      return left === -1 || right === -1 ? startOf(one) - startOf(other) : left - right;
    }
    at = typeof at === "object" && at !== null ? (at as Readonly<Record<string, unknown>>)[step] : undefined; // Or a list.
  }
  return first.length === second.length ? 0 : -1;
}

function startOf({ positions }: GraphQLError): number {
  return positions?.[0] ?? 0;
}
