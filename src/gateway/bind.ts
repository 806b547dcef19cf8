import { type DescField, equals, isFieldSet, type Message, type Registry } from "@bufbuild/protobuf";
import { type FieldViolation, invalidArgument } from "../core/errors.ts";
import { bodyText, type BodyBinder, compileBodyBinder } from "./body-binder.ts";
import { compileMaskDeriver, type MaskDeriver } from "./field-mask.ts";
import { existingMessageAt, getField, messageAt, setField } from "./field-path.ts";
import { textParser, type TextParser, unexpectedText } from "./field-value.ts";
import { hasMemberAt, parseMembers } from "./json-members.ts";
import type { BodyFormat } from "./media-type.ts";
import { parseQuery, type QueryOptions, queryDefaults } from "./query.ts";
import { QueryBinder, type QueryBinderOptions } from "./query-binder.ts";
import type { Route, RouteVariable } from "./route.ts";
import { readSystemParameters, systemParameterDefaults, type SystemParameters } from "./system-parameters.ts";

/** What a request gives to its message. */
export interface BindRequest {
  /** The decoded values of the route's variables, in their order. */
  readonly captures: readonly string[];
  /** The raw query without `?`, empty where there is none. */
  readonly query: string;
  /** The body after all transfer and content codings; undefined or empty where there is none. */
  readonly body: Uint8Array | string | undefined;
  /** How the body is to be read. Default `json`. */
  readonly format?: BodyFormat;
}

/** How requests are bound where the contract leaves a choice. */
export interface BindOptions
  extends QueryOptions, Pick<QueryBinderOptions, "unknownQuery" | "systemParameters"> {
  /** Unknown members of a JSON body: skipped and reported, or refused with one violation per name. Default `ignore`. */
  readonly unknownFields: "ignore" | "reject";
  /** What happens where the body holds another value than the path: the path's is taken, or 400. Default `path-wins`. */
  readonly conflicts: "path-wins" | "reject";
  /** What happens to a body where the rule has none: skipped, or 400. Default `ignore`. */
  readonly unexpectedBody: "ignore" | "reject";
  /** The longest path in the name of a query parameter, in fields. Default 32. */
  readonly maxFieldDepth: number;
  /** How deep a JSON body may nest, in objects and arrays. Default 100. */
  readonly maxJsonDepth: number;
  /** The types that `google.protobuf.Any` may hold in a JSON body. Default none. */
  readonly registry?: Registry | undefined;
  /**
   * Hears what a request had too much, while `bind` runs: names of query parameters as the client wrote them, paths
   * of members of the body. Default none.
   */
  readonly onIgnored?: ((place: "query" | "body", name: string) => void) | undefined;
}

/** The defaults of {@link BindOptions}. */
export const bindDefaults: BindOptions = Object.freeze({
  ...queryDefaults,
  unknownQuery: "ignore",
  systemParameters: false,
  unknownFields: "ignore",
  conflicts: "path-wins",
  unexpectedBody: "ignore",
  maxFieldDepth: 32,
  maxJsonDepth: 100,
});

/** Makes request messages from HTTP requests of one route. */
export interface Binder {
  /**
   * The message of a request: from the body, then the query, then the path, which wins.
   *
   * Throws INVALID_ARGUMENT with a `google.rpc.BadRequest` detail that names what is wrong by proto paths.
   */
  bind(request: BindRequest): Message;
  /** The system parameters of a request; always the defaults where the option is off. Throws INVALID_ARGUMENT. */
  systemParameters(query: string): SystemParameters;
}

/**
 * Compiles the binding of a route as `google/api/http.proto` describes it.
 *
 * @throws Error when a variable of the route can not be read from text; `compileRoute` refuses such routes before
 */
export function compileBinder(route: Route, options?: Partial<BindOptions>): Binder {
  return new RouteBinder(route, { ...bindDefaults, ...options });
}

class RouteBinder implements Binder {
  readonly #route: Route;
  readonly #options: BindOptions;
  readonly #body: BodyBinder;
  readonly #query: QueryBinder;
  /** For requests whose body has given what the query may give otherwise. */
  readonly #closedQuery: QueryBinder | undefined;
  readonly #path: readonly PathBinding[];
  readonly #mask: MaskDeriver | undefined;

  constructor(route: Route, options: BindOptions) {
    this.#route = route;
    this.#options = options;
    const { onIgnored } = options;
    this.#body = compileBodyBinder(route, {
      unexpectedBody: options.unexpectedBody,
      json: {
        unknownFields: options.unknownFields,
        maxDepth: options.maxJsonDepth,
        registry: options.registry,
        onUnknownField: onIgnored && ((path) => onIgnored("body", path)),
      },
    });
    this.#mask = compileMaskDeriver(route);
    const whole = route.bodyField === "*";
    // A mask that a client writes into the query has to count even where the body is the whole request: without it
    // the update would be a larger one than the client asked for.
    this.#query = this.#compileQuery(whole ? (this.#mask ? [this.#mask.field] : []) : undefined);
    this.#closedQuery = whole && this.#mask !== undefined ? this.#compileQuery([]) : undefined;
    this.#path = route.variables.map((variable) => new PathBinding(variable, route.bodyField));
  }

  bind(request: BindRequest): Message {
    const { body, query } = request;
    let text: string | undefined;
    let message: Message;
    if (body === undefined || body.length === 0) message = this.#body.empty();
    else if (request.format === "binary") message = this.#body.fromBinary(body);
    else message = this.#body.fromJson((text = bodyText(body)));
    if (query === "" && this.#path.length === 0 && this.#mask === undefined) return message;
    this.#bindRest(request, message, text);
    return message;
  }

  systemParameters(query: string): SystemParameters {
    if (!this.#options.systemParameters || query === "") return systemParameterDefaults;
    return readSystemParameters(parseQuery(query, this.#options), this.#route.method.input);
  }

  /** Binds query and path, and derives the mask; `text` is the JSON body where there is one. */
  #bindRest(request: BindRequest, message: Message, text: string | undefined): void {
    const violations: FieldViolation[] = [];
    if (request.query !== "") {
      const closed = this.#closedQuery !== undefined && this.#mask?.isGiven(message) === true;
      const binder = closed ? (this.#closedQuery ?? this.#query) : this.#query;
      binder.bind(parseQuery(request.query, this.#options), message, violations);
    }
    if (text !== undefined && violations.length === 0) this.#mask?.derive(text, message);
    if (this.#path.length > 0) this.#bindPath(request, message, text, violations);
    if (violations.length > 0) throw refusal(violations);
  }

  #bindPath(
    request: BindRequest,
    message: Message,
    text: string | undefined,
    violations: FieldViolation[],
  ): void {
    const strict =
      this.#options.conflicts === "reject" && request.body !== undefined && request.body.length > 0;
    const members = strict && text !== undefined ? parseMembers(text) : undefined;
    for (const [index, binding] of this.#path.entries()) {
      const capture = request.captures[index];
      if (capture === undefined) throw new TypeError(`no capture for ${binding.name}`);
      const value = binding.parse(capture);
      const problem =
        value === undefined
          ? unexpectedText(binding.parser, capture)
          : strict && binding.conflicts(message, value, members)
            ? "the path and the body have different values"
            : undefined;
      if (problem === undefined) binding.set(message, value);
      else violations.push({ field: binding.name, description: problem });
    }
  }

  #compileQuery(only: readonly DescField[] | undefined): QueryBinder {
    const { bodyField, variables, method } = this.#route;
    const bound = variables.map(({ fields }) => fields);
    if (Array.isArray(bodyField)) bound.push(bodyField);
    const { maxFieldDepth, unknownQuery, systemParameters, onIgnored } = this.#options;
    return new QueryBinder(
      method.input,
      { bound, only, maxFieldDepth },
      { unknownQuery, systemParameters, onIgnored: onIgnored && ((name) => onIgnored("query", name)) },
    );
  }
}

/** Sets one variable's field. */
class PathBinding {
  readonly name: string;
  readonly parser: TextParser;
  readonly #parents: readonly DescField[];
  readonly #field: DescField;
  /** The variable's path inside of the body; undefined where it is elsewhere. */
  readonly #inBody: readonly DescField[] | undefined;

  constructor(variable: RouteVariable, bodyField: Route["bodyField"]) {
    const { name, fields } = variable;
    const field = fields.at(-1);
    const parser = field && textParser(field);
    if (field === undefined || parser === undefined)
      throw new Error(`variable "${name}" can not be read from text`);
    this.name = name;
    this.parser = parser;
    this.#parents = fields.slice(0, -1);
    this.#field = field;
    this.#inBody = pathInBody(fields, bodyField);
  }

  /** The value of a capture; undefined where it is none. */
  parse(capture: string): unknown {
    return this.parser.parse(capture);
  }

  set(message: Message, value: unknown): void {
    setField(this.#parents.length === 0 ? message : messageAt(message, this.#parents), this.#field, value);
  }

  /**
   * Whether the body has set this field to another value. `members` is the body's JSON: it tells a field that is
   * there with its default value from one that is not.
   */
  conflicts(message: Message, value: unknown, members: unknown): boolean {
    if (this.#inBody === undefined) return false;
    const parent = existingMessageAt(message, this.#parents);
    if (parent === undefined) return false;
    const there =
      members === undefined ? isFieldSet(parent, this.#field) : hasMemberAt(members, this.#inBody);
    return there && !sameValue(this.#field, getField(parent, this.#field), value);
  }
}

function pathInBody(
  fields: readonly DescField[],
  bodyField: Route["bodyField"],
): readonly DescField[] | undefined {
  if (bodyField === "*") return fields;
  const inside = bodyField?.every((field, index) => field === fields[index]);
  return inside === true ? fields.slice(bodyField?.length) : undefined;
}

function sameValue(field: DescField, a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (field.message !== undefined && typeof a === "object" && typeof b === "object") {
    return equals(field.message, a as Message, b as Message); // Bindable messages that are objects are no Structs.
  }
  return Object.is(a, b);
}

function refusal(violations: readonly FieldViolation[]): Error {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  return invalidArgument(`${first?.field}: ${first?.description}${more}`, violations);
}
