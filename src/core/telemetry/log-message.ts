import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry,
  toJson,
} from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { callLogger } from "./call-logger.ts";
import type { LogLevel } from "./logger.ts";
import { masked, Redactor } from "./redact.ts";

/** Options of `logMessage`. */
export interface LogMessageOptions {
  /** The level of the line. Default: `info`. */
  readonly level: Exclude<LogLevel, "silent">;
  /** What the line says beside the message. Default: `message`. */
  readonly text: string;
  /** Types inside of `google.protobuf.Any`. Default: none; a message with such a value is logged by its type alone. */
  readonly registry: Registry | undefined;
}

/**
 * Writes a message of a call to the log, as the JSON member `message`. Fields with the option `debug_redact`, and those
 * whose names say that they are credentials, are masked at any depth. Nothing else ever logs messages.
 *
 * @param message a request or reply of the call, or a message inside of one
 */
export function logMessage(
  context: HandlerContext,
  message: Message,
  { level = "info", text = "message", registry }: Partial<LogMessageOptions> = {},
): void {
  const logger = callLogger(context);
  if (!logger.isLevelEnabled(level)) return;
  const desc = descOf(message.$typeName, [context.method.input, context.method.output], new Set());
  const shown = desc === undefined ? undefined : redactMessage(desc, message, registry);
  logger[level]({ type: message.$typeName, ...(shown !== undefined && { message: shown }) }, text);
}

/**
 * A message as JSON for logs, without the values that must not be there; undefined for one that has no JSON form.
 *
 * @param registry types inside of `google.protobuf.Any`. Default: none
 */
export function redactMessage(
  desc: DescMessage,
  message: Message,
  registry?: Registry,
): JsonValue | undefined {
  try {
    const json = toJson(desc, message, registry === undefined ? {} : { registry });
    return new MessageRedactor(registry).message(desc, json);
  } catch {
    return undefined; // For example an Any of an unknown type.
  }
}

/** Masks what must not be in a log, in the JSON of messages. */
class MessageRedactor {
  readonly #registry: Registry | undefined;
  readonly #redactor = new Redactor();

  constructor(registry: Registry | undefined) {
    this.#registry = registry;
  }

  message(desc: DescMessage, json: JsonValue): JsonValue {
    if (!isObject(json)) return json; // A well-known type.
    if (desc.typeName === "google.protobuf.Any") return this.#any(json);
    // JSON stays JSON.
    if (desc.typeName.startsWith("google.protobuf.")) return this.#redactor.value(json) as JsonValue;
    const shown: JsonObject = {};
    for (const [name, value] of Object.entries(json)) {
      const field = desc.fields.find(({ jsonName }) => jsonName === name);
      shown[name] = field === undefined || this.#isSecret(field) ? masked : this.#field(field, value);
    }
    return shown;
  }

  /** The type of the message inside is in the registry: `toJson` has found it there. */
  #any({ "@type": url, ...members }: JsonObject): JsonValue {
    if (typeof url !== "string") return {};
    const desc = this.#registry?.getMessage(url.replace(/^.*\//, ""));
    const shown = desc === undefined ? {} : this.message(desc, members);
    return isObject(shown) ? { "@type": url, ...shown } : shown;
  }

  #field(field: DescField, value: JsonValue): JsonValue {
    const { message } = field;
    if (field.fieldKind === "map" && isObject(value)) {
      const entries = Object.entries(value).map(([key, item]): [string, JsonValue] => {
        if (this.#redactor.isSecret(key)) return [key, masked];
        return [key, message === undefined ? item : this.message(message, item)];
      });
      return Object.fromEntries(entries);
    }
    if (message === undefined) return value;
    return Array.isArray(value)
      ? value.map((item) => this.message(message, item))
      : this.message(message, value);
  }

  #isSecret(field: DescField): boolean {
    return field.proto.options?.debugRedact === true || this.#redactor.isSecret(field.name);
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The description of a type among those that messages of a call are made of. */
function descOf(
  typeName: string,
  among: readonly DescMessage[],
  seen: Set<DescMessage>,
): DescMessage | undefined {
  for (const desc of among) {
    if (desc.typeName === typeName) return desc;
    if (seen.has(desc)) continue;
    seen.add(desc);
    const inner = desc.fields.map(({ message }) => message).filter((found) => found !== undefined);
    const found = descOf(typeName, inner, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}
