import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescOneof,
  type JsonObject,
  type JsonValue,
  mergeFromJson,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { wrapped } from "../codec/field-shape.ts";
import { isMembers } from "../codec/json-members.ts";
import type { PathTemplate } from "../http-rule/path-template.ts";
import { bindPath, boundNames, templateOf } from "./example-paths.ts";
import { knownExample } from "./example-known.ts";
import { enumWithin, rulesOfKind, scalarWithin } from "./example-scalars.ts";
import { isLeftOutOfReplies, isLeftOutOfRequests } from "./example-words.ts";
import { rolesOf } from "./field-roles.ts";
import { foreignOption } from "./foreign-options.ts";
import { nameFieldOf, nameOfPattern, namePattern } from "./resource-names.ts";

/** How examples are made. */
export interface ExampleOptions {
  /** Chooses among values: the same seed makes the same messages. 0 takes the first of all values. Default: 0. */
  readonly seed: number;
  /** How many messages stand in one another; deeper ones are there only where a rule requires them. Default: 4. */
  readonly depth: number;
  /** Whether an example has a field. Default: all. */
  readonly isVisible: (field: DescField) => boolean;
}

/** The defaults of {@link ExampleOptions}. */
export const exampleDefaults: ExampleOptions = Object.freeze({ seed: 0, depth: 4, isVisible: () => true });

/** An example of a message on the way to a service, or from it. */
type Direction = "request" | "reply";

/** Where a message stands in an example. */
interface Place {
  readonly direction: Direction;
  /** How many messages it stands in. */
  readonly level: number;
  /** Which of several messages, from 0. */
  readonly turn: number;
  /** The fields that the path of the request binds, by names from here. */
  readonly bound: ReadonlySet<string>;
  /** How many fields the example may still get. */
  readonly budget: { fields: number };
}

/** Most fields of one example, which grows with each level where messages have many messages in them. */
const mostFields = 1000;
/** Most messages in one another where each requires the next. */
const deepest = 32;
/** How far apart the values of two seeds may be. */
const seedSpread = 5;

/**
 * Examples of requests and replies, made of their contract: `openapiv2_field.example` and its siblings, names by the
 * patterns of resources, values within the rules of `buf.validate`, and texts that say what their field is about.
 * Conditions in CEL are not looked at. Lists and maps have one entry unless a rule wants more.
 */
export class Examples {
  readonly #options: ExampleOptions;

  constructor(options: Partial<ExampleOptions> = {}) {
    this.#options = { ...exampleDefaults, ...options };
  }

  /**
   * A request of an rpc that its route takes: without what only the server sets, and with values that fit the path.
   *
   * @param turn which of several requests, from 0
   * @param template the path of the call. Default: the first one of the rpc's annotation
   */
  request(method: DescMethod, turn = 0, template: PathTemplate | undefined = templateOf(method)): Message {
    const bound = boundNames(template);
    const message = this.#message(method.input, this.#place("request", turn, bound));
    if (template !== undefined) bindPath(message, template);
    return message.message;
  }

  /** A reply of an rpc, or one of several messages of a stream. @param turn which of them, from 0 */
  reply(method: DescMethod, turn = 0): Message {
    return this.message(method.output, "reply", turn);
  }

  /** A message of a type. @param turn which of several messages, from 0 */
  message(type: DescMessage, direction: Direction, turn = 0): Message {
    return this.#top(type, this.#place(direction, turn, new Set())).message;
  }

  #place(direction: Direction, turn: number, bound: ReadonlySet<string>): Place {
    return { direction, level: 1, turn, bound, budget: { fields: mostFields } };
  }

  /** A message that no field holds. */
  #top(type: DescMessage, place: Place): ReflectMessage {
    const known = knownExample(type, { name: "value", rules: {}, turn: place.turn, mask: "" });
    return known === undefined ? this.#message(type, place) : reflect(type, known);
  }

  #message(type: DescMessage, place: Place): ReflectMessage {
    const message = reflect(type);
    if (type.typeName.startsWith("google.protobuf.") && wrapped(type) === undefined) {
      const known = knownExample(type, { name: "value", rules: {}, turn: place.turn, mask: "" });
      if (known !== undefined) return reflect(type, known);
    }
    if (place.level <= 1 + deepest) {
      const left = this.#leftOut(type, place);
      for (const field of type.fields) if (!left.has(field)) this.#set(message, field, place);
    }
    for (const example of examplesOfMessage(type)) laidOver(message, example);
    return message;
  }

  /** The fields that others of the same message exclude. */
  #leftOut(type: DescMessage, { turn, bound }: Place): ReadonlySet<DescField> {
    const left = new Set<DescField>();
    const keepOne = (fields: readonly DescField[], number: number): void => {
      const chosen = fields.find(({ name }) => bound.has(name)) ?? fields[number % fields.length];
      for (const field of fields) if (field !== chosen) left.add(field);
    };
    for (const oneof of type.oneofs) keepOne(this.#members(oneof), turn);
    for (const names of oneofRules(type))
      keepOne(
        type.fields.filter(({ name }) => names.includes(name)),
        0,
      );
    return left;
  }

  /** The members of a oneof in an order in which those come first that do not contain the message again. */
  #members({ fields, parent }: DescOneof): readonly DescField[] {
    return fields.toSorted((one, other) => Number(one.message === parent) - Number(other.message === parent));
  }

  #set(into: ReflectMessage, field: DescField, place: Place): void {
    const rules = rulesOf(field);
    const isRequired = rolesOf(field).required;
    if (!isRequired && !this.#isWanted(field, rules, place)) return;
    place.budget.fields--;
    for (const example of examplesOfField(field)) if (laidOver(into, { [field.jsonName]: example })) return;
    switch (field.fieldKind) {
      case "list":
        this.#fillList(into, field, rules, place);
        return;
      case "map":
        this.#fillMap(into, field, rules, place);
        return;
      default: {
        const value = this.#value(field, rules, place, into);
        if (value !== undefined) into.set(field, value);
      }
    }
  }

  #isWanted(field: DescField, rules: JsonObject, { direction, level, bound, budget }: Place): boolean {
    const { inputOnly, outputOnly } = rolesOf(field);
    if (!this.#options.isVisible(field)) return false;
    if (bound.has(field.name) || boundInside(field, bound).size > 0) return true;
    if (direction === "request" ? outputOnly : inputOnly) return false;
    if (budget.fields <= 0 || (field.message !== undefined && level >= this.#options.depth)) return false;
    if (Object.keys(rules).length > 0 && rules["ignore"] === undefined) return true;
    return direction === "request" ? !isLeftOutOfRequests(field.name) : !isLeftOutOfReplies(field.name);
  }

  #fillList(
    into: ReflectMessage,
    field: DescField & { fieldKind: "list" },
    rules: JsonObject,
    place: Place,
  ): void {
    const own = rulesOfKind(rules, "repeated");
    const items = rulesOfKind(own, "items");
    const list = into.get(field);
    for (let at = 0; at < countOf(own, "minItems", "maxItems"); at++) {
      const value = this.#value(field, items, { ...place, turn: place.turn + at }, into);
      if (value !== undefined) list.add(value);
    }
  }

  #fillMap(
    into: ReflectMessage,
    field: DescField & { fieldKind: "map" },
    rules: JsonObject,
    place: Place,
  ): void {
    const own = rulesOfKind(rules, "map");
    const ofKeys = rulesOfKind(own, "keys");
    const ofValues = rulesOfKind(own, "values");
    const map = into.get(field);
    const wanted = countOf(own, "minPairs", "maxPairs");
    for (let at = 0; map.size < wanted && at < wanted + 8; at++) {
      const turn = place.turn + at;
      const key = scalarWithin(field.mapKey, ofKeys, { name: "key", turn });
      const value = this.#value(field, ofValues, { ...place, turn }, into);
      if (value !== undefined) map.set(key, value);
    }
  }

  /** One value of a field: of an item of a list or of an entry of a map too. */
  #value(field: DescField, rules: JsonObject, place: Place, into: ReflectMessage): unknown {
    const turn = place.turn + this.#spread(field);
    const { name } = field;
    if (field.message !== undefined) {
      const scalar = wrapped(field.message);
      if (scalar !== undefined) {
        const value = scalarWithin(scalar, rules, { name, turn });
        return reflect(field.message, create(field.message, { value })); // What every wrapper has.
      }
      const mask = field.message.typeName.endsWith(".FieldMask") ? maskOf(into.desc) : "";
      const known = knownExample(field.message, { name, rules, turn, mask });
      if (known !== undefined) return reflect(field.message, known);
      return this.#message(field.message, {
        ...place,
        level: place.level + 1,
        bound: boundInside(field, place.bound),
      });
    }
    if (field.enum !== undefined) return enumWithin(field.enum, rules, turn);
    const scalar = field.scalar ?? ScalarType.STRING;
    const pattern = scalar === ScalarType.STRING ? namePattern(field) : undefined;
    if (pattern !== undefined && rules["string"] === undefined) return nameOfPattern(pattern, place.turn);
    return scalarWithin(scalar, rules, { name: nameOfOne(field), turn });
  }

  /** How far the seed moves the choice of a field. */
  #spread({ parent, name }: DescField): number {
    const { seed } = this.#options;
    if (seed === 0) return 0;
    let hash = 2_166_136_261 ^ seed; // FNV-1a, which spreads names that are alike.
    for (const char of `${parent.typeName}.${name}`) {
      hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
    }
    return (hash >>> 8) % seedSpread;
  }
}

/** The names of bound fields from the message in a field on. */
function boundInside({ name }: DescField, bound: ReadonlySet<string>): ReadonlySet<string> {
  if (bound.size === 0) return bound;
  const inside = [...bound].filter((path) => path.startsWith(`${name}.`));
  return new Set(inside.map((path) => path.slice(name.length + 1)));
}

/** The rules of a field, none where they are not to be looked at. */
function rulesOf(field: DescField): JsonObject {
  const rules = foreignOption(field, "buf.validate.field");
  return isMembers(rules) && rules["ignore"] !== "IGNORE_ALWAYS" ? rules : {};
}

/** Names of fields of which one message has at most one, by the rules of its type. */
function oneofRules(type: DescMessage): readonly (readonly JsonValue[])[] {
  const rules = foreignOption(type, "buf.validate.message");
  const oneofs = isMembers(rules) && Array.isArray(rules["oneof"]) ? rules["oneof"] : [];
  return oneofs.flatMap((one) => (isMembers(one) && Array.isArray(one["fields"]) ? [one["fields"]] : []));
}

/** How many items or entries an example has. */
function countOf(rules: JsonObject, least: string, most: string): number {
  return Math.min(Math.max(1, Number(rules[least] ?? 1)), Number(rules[most] ?? Number.POSITIVE_INFINITY));
}

/** Examples that a contract gives of a field, in JSON, in the order in which they are tried. */
function* examplesOfField(field: DescField): Generator<JsonValue> {
  const swagger = foreignOption(field, "grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field");
  if (isMembers(swagger) && typeof swagger["example"] === "string") yield* readings(swagger["example"]);
  for (const name of ["grpc.gateway.protoc_gen_openapiv3.options.openapiv3_field", "openapi.v3.property"]) {
    const property = foreignOption(field, name);
    if (!isMembers(property) || !isMembers(property["example"])) continue;
    const { yaml } = property["example"];
    if (typeof yaml === "string") yield* readings(yaml);
  }
}

/** Examples that a contract gives of a whole message. */
function* examplesOfMessage(type: DescMessage): Generator<JsonValue> {
  const swagger = foreignOption(type, "grpc.gateway.protoc_gen_openapiv2.options.openapiv2_schema");
  if (isMembers(swagger) && typeof swagger["example"] === "string") yield* readings(swagger["example"]);
}

/** A text as the JSON that it is, or as a text. */
function* readings(text: string): Generator<JsonValue> {
  try {
    yield JSON.parse(text) as JsonValue;
  } catch {
    // It is a text.
  }
  yield text;
}

/** Sets what a JSON has, where it fits. */
function laidOver(into: ReflectMessage, json: JsonValue): boolean {
  try {
    const { message }: { message: Message } = into;
    mergeFromJson(into.desc, message, json);
    return true;
  } catch {
    return false;
  }
}

/** The paths of a mask beside a message: of the first field that a client may change. */
function maskOf(request: DescMessage): string {
  const target = request.fields.find(
    (field) => field.fieldKind === "message" && field.message.fields.length > 2,
  );
  const name = target?.message === undefined ? undefined : nameFieldOf(target.message);
  const changed = target?.message?.fields.find((field) => {
    const { outputOnly, inputOnly, immutable } = rolesOf(field);
    return field.fieldKind === "scalar" && field.name !== name && !outputOnly && !inputOnly && !immutable;
  });
  return changed?.jsonName ?? "";
}

/** The name that one value of a field has: `tag` of `tags`. */
function nameOfOne({ name, fieldKind }: DescField): string {
  if (fieldKind === "map") return "value";
  return fieldKind === "list" && /[^s]s$/.test(name) ? name.slice(0, -1) : name;
}
