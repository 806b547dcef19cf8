import { type DescField, type DescMessage, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import { jsonWriter, type JsonWriteOptions } from "../../../core/codec/message-to-json.ts";
import { Examples } from "../../../core/contract/examples.ts";
import type { DescType } from "../../../core/contract/namer.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { shownMessage, type Shows } from "../shown-message.ts";

/** Examples of the parts of one operation; undefined for a part of which there is none. */
export interface OperationExample {
  /** The texts of the wildcards of the path, in their order. */
  readonly path: readonly (string | undefined)[];
  /** The value of a field at the top of the request, as it is in JSON. */
  readonly query: (field: DescField) => JsonValue | undefined;
  /** The body of the request. */
  readonly body: JsonValue | undefined;
  /** The body of the reply. */
  readonly reply: JsonValue | undefined;
}

/** How deep messages of an example stand in one another, as in the console. */
const depth = 4;
/** The same in documents of very many types, each of whose levels costs as much as all above it. */
const depthOfMany = 3;
/** So many types are very many. */
const many = 500;

/** Examples of the operations of a document: requests that are taken and replies as they look, made of the contract. */
export class OperationExamples {
  readonly #json: JsonWriteOptions;
  readonly #examples: Examples;
  readonly #shows: Shows;
  readonly #hidesReplies: boolean;

  /** @param types the messages of the document */
  constructor(json: JsonWriteOptions, shows: Shows, types: readonly DescType[]) {
    this.#json = json;
    this.#examples = new Examples({ isVisible: shows, depth: types.length > many ? depthOfMany : depth });
    this.#shows = (field) => shows(field) && !rolesOf(field).inputOnly;
    this.#hidesReplies = types.some((type) => type.kind === "message" && !type.fields.every(this.#shows));
  }

  of(route: Route): OperationExample {
    const { method, template, variables, bodyField, responseField } = route;
    const request = this.#jsonOf(method.input, this.#examples.request(method, 0, template), "omit");
    const isUnary = method.methodKind === "unary";
    const reply = isUnary ? this.#reply(method.output) : undefined;
    const texts = variables.map(({ fields }) => textOf(this.#at(request, fields)));
    return {
      path: wildcardTexts(route, texts),
      query: (field) => this.#at(request, [field]),
      body: isUnary && bodyField !== undefined ? this.#body(request, route, bodyField) : undefined,
      reply: responseField === undefined ? reply : this.#at(reply, [responseField]),
    };
  }

  #body(
    request: JsonValue | undefined,
    { variables }: Route,
    bodyField: NonNullable<Route["bodyField"]>,
  ): JsonValue | undefined {
    const above = bodyField === "*" ? [] : bodyField;
    const body = this.#at(request, above);
    if (!isMembers(body)) return body;
    // What the path sets clients leave out, but where the schema of the message wants it.
    const left = variables
      .filter(({ fields }) => fields.length === above.length + 1)
      .flatMap(({ fields }) => fields.at(-1) ?? [])
      .filter((field) => bodyField === "*" || !rolesOf(field).required)
      .map(this.#nameOf);
    return Object.fromEntries(Object.entries(body).filter(([name]) => !left.includes(name)));
  }

  #reply(output: DescMessage): JsonValue | undefined {
    const shown = this.#hidesReplies ? shownMessage(output, this.#shows) : output;
    return this.#jsonOf(shown, this.#examples.message(output, "reply"), this.#json.defaults);
  }

  /** The value at fields in one another. */
  #at(json: JsonValue | undefined, fields: readonly DescField[]): JsonValue | undefined {
    let value = json;
    for (const field of fields) value = isMembers(value) ? value[this.#nameOf(field)] : undefined;
    return value;
  }

  readonly #nameOf = ({ name, jsonName }: DescField): string =>
    this.#json.fieldNames === "proto" ? name : jsonName;

  #jsonOf(type: DescMessage, message: Message, defaults: "emit" | "omit"): JsonValue | undefined {
    const { fieldNames, enums, int64, registry } = this.#json;
    try {
      if (int64 !== "string")
        return JSON.parse(
          jsonWriter(type, { ...this.#json, defaults, indent: 0 }).write(message),
        ) as JsonValue; // It is one.
      // Not the writers of replies: they are compiled for each type.
      return toJson(type, message, {
        alwaysEmitImplicit: defaults === "emit",
        enumAsInteger: enums === "number",
        useProtoFieldName: fieldNames === "proto",
        registry,
      });
    } catch {
      return undefined; // An example that the contract gives has no JSON.
    }
  }
}

/** A value of a path; undefined for none, and for one that is no scalar. */
function textOf(value: JsonValue | undefined): string | undefined {
  return value === undefined || value === null || typeof value === "object" ? undefined : String(value);
}

/** The text of each wildcard, of the values of the variables in which they stand. */
function wildcardTexts(
  { template: { segments, variables } }: Route,
  texts: readonly (string | undefined)[],
): readonly (string | undefined)[] {
  const found: (string | undefined)[] = [];
  for (const [at, { kind }] of segments.entries()) {
    if (kind === "literal") continue;
    const index = variables.findIndex(({ start, end }) => start <= at && at < end);
    const { start = at, end = at + 1 } = variables[index] ?? {};
    const text = texts[index];
    if (text === undefined || end - start === 1) found.push(text);
    else {
      const parts = text.split("/");
      // What stands behind a wildcard of many segments is counted from the end.
      const behind = end - at - 1;
      found.push(
        kind === "rest" ? parts.slice(at - start, parts.length - behind).join("/") : parts[at - start],
      );
    }
  }
  return found;
}
