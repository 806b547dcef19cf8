import { create, type DescMessage, type Message, type Registry } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { loadPeer } from "../config/optional-peer.ts";
import { invalidArgument } from "../errors/errors.ts";
import { checkExpression } from "./event-expression.ts";
import { type Term, termOf } from "./expression.ts";

/** An event as conditions see it. */
export interface ConditionEvent {
  /** The attributes of the CloudEvent, `specversion` among them. */
  readonly attributes: ReadonlyMap<string, string>;
  /** The message, as `reflectedEvent` gives it. */
  readonly data: ReflectMessage;
}

/** A condition over events that was compiled. */
export interface EventCondition {
  /** Whether it holds. @throws Error what it cannot compute, for people */
  holds(event: ConditionEvent): boolean;
}

/** What conditions are compiled against. */
export interface EventConditionScope {
  /** The types of all events. */
  readonly registry: Registry;
  /** The types that an event can have, where the filter names some; none: any. */
  readonly schemas: readonly DescMessage[];
}

/** The longest condition, in bytes. */
const longest = 2_048;

/** The message of an event, for conditions. */
export function reflectedEvent(schema: DescMessage, message: Message): ReflectMessage {
  return reflect(schema, message);
}

/**
 * Compiles a condition in CEL (https://cel.dev) over `event`, the attributes as texts, and `data`, the message.
 *
 * The library finds most mistakes only when it computes, so that they are looked for here: syntax, with line and column;
 * names and functions that there are not; fields that a type lacks; a result that is neither true nor false; a loop inside
 * another, whose time is the product of both.
 *
 * @param place where the condition is written, for errors
 * @throws ConnectError INVALID_ARGUMENT with what is wrong; SetupError where the package `@bufbuild/cel` is not installed
 */
export async function compileEventCondition(
  text: string,
  { registry, schemas }: EventConditionScope,
  place: string,
): Promise<EventCondition> {
  const { celEnv, isCelError, parse, plan } = await loadPeer(
    "@bufbuild/cel",
    `${place}: a condition`,
    () => import("@bufbuild/cel"),
  );
  const wrong = (why: string): Error =>
    invalidArgument(`${place}: ${why}`, [{ field: place, description: why }]);
  const bytes = Buffer.byteLength(text);
  if (bytes > longest) throw wrong(`the condition has ${bytes} bytes: ${longest} are allowed`);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(text);
  } catch (reason) {
    throw wrong(syntaxProblem(reason));
  }
  const env = celEnv({ registry });
  const term: Term = termOf(parsed.expr);
  const problem = checkExpression(term, schemas, (name) => env.funcs.find(name) !== undefined);
  if (problem !== undefined) throw wrong(problem);
  const run = plan(env, parsed);
  const compute = ({ attributes, data }: ConditionEvent): unknown =>
    run({ event: attributes as Map<string, string>, data }); // The library does not change it.
  for (const schema of schemas) {
    const result = trial(() =>
      compute({ attributes: new Map(), data: reflectedEvent(schema, create(schema)) }),
    );
    if (result !== undefined && !isCelError(result) && typeof result !== "boolean") {
      throw wrong("the result of the condition is neither true nor false");
    }
  }
  return {
    holds(event) {
      const result = compute(event);
      if (typeof result === "boolean") return result;
      throw isCelError(result) ? result : new Error("the result of the condition is neither true nor false");
    },
  };
}

/** What an empty event gives; undefined where that cannot be computed, which a real one may allow. */
function trial(compute: () => unknown): unknown {
  try {
    return compute();
  } catch {
    return undefined;
  }
}

function syntaxProblem(reason: unknown): string {
  const { rawMessage, location } = reason as {
    readonly rawMessage?: string;
    readonly location?: { readonly start?: { readonly line?: number; readonly column?: number } };
  }; // Both are there in errors of the parser.
  const { line, column } = location?.start ?? {};
  const where = line === undefined ? "" : `line ${line}, column ${column}: `;
  return `${where}${rawMessage ?? String(reason)}`;
}
