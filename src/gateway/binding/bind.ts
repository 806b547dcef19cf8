import type { DescField, Message } from "@bufbuild/protobuf";
import { requiredCheck } from "../../core/codec/required-fields.ts";
import { type FieldViolation, invalidArgument } from "../../core/errors/errors.ts";
import { bindDefaults, type BindOptions, type BindRequest, jsonReadOptions } from "./bind-options.ts";
import { bodyText, type BodyBinder, compileBodyBinder } from "./body-binder.ts";
import { type ByteBinder, compileByteBinder } from "./byte-binder.ts";
import { compileMaskDeriver, type MaskDeriver } from "./field-mask.ts";
import { parseMembers } from "../../core/codec/json-members.ts";
import { PathBinding } from "./path-binding.ts";
import { parseQuery } from "../http/query.ts";
import { QueryBinder } from "./query-binder.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { unexpectedText } from "./scalar-text.ts";
import { readSystemParameters, systemParameterDefaults, type SystemParameters } from "./system-parameters.ts";

/** Converts the HTTP requests of one route to messages. */
export interface Binder {
  /**
   * The message of a request: sets fields from the body, then the query, then the path, which wins.
   *
   * Throws INVALID_ARGUMENT with a `google.rpc.BadRequest` detail that names the proto path of each problem, including
   * missing required fields of proto2.
   */
  bind(request: BindRequest): Message;
  /** Binds query and path to a message whose body was read already. Throws INVALID_ARGUMENT as `bind`. */
  complete(request: Pick<BindRequest, "captures" | "query">, message: Message): void;
  /** As `bind`, but returns protobuf bytes if they can be made without a message. */
  bindBytes(request: BindRequest): Message | Uint8Array;
  /** The system parameters of a request; the defaults if the option is off. Throws INVALID_ARGUMENT. */
  systemParameters(query: string): SystemParameters;
}

/**
 * Compiles the binding of a route as specified by `google/api/http.proto`.
 *
 * @throws Error if a variable of the route cannot be read from text; `compileRoute` rejects such routes already
 */
export function compileBinder(route: Route, options?: Partial<BindOptions>): Binder {
  return new RouteBinder(route, { ...bindDefaults, ...options });
}

class RouteBinder implements Binder {
  readonly #route: Route;
  readonly #options: BindOptions;
  readonly #body: BodyBinder;
  readonly #query: QueryBinder;
  /** For requests whose body contains the mask, so that the query must not set it. */
  readonly #closedQuery: QueryBinder | undefined;
  readonly #path: readonly PathBinding[];
  readonly #mask: MaskDeriver | undefined;
  readonly #bytes: ByteBinder | undefined;
  /** Whether the text of a JSON body is looked at once more: its members are not all in the message. */
  readonly #needsText: boolean;
  readonly #checkRequired: ((message: Message) => void) | undefined;

  constructor(route: Route, options: BindOptions) {
    this.#route = route;
    this.#options = options;
    const { unexpectedBody } = options;
    this.#body = compileBodyBinder(route, { unexpectedBody, json: jsonReadOptions(options) });
    this.#mask = compileMaskDeriver(route);
    const whole = route.bodyField === "*";
    // A mask in the query is used even if the body is the whole request: without it the update would change more fields
    // than the client asked for.
    this.#query = this.#compileQuery(whole ? (this.#mask ? [this.#mask.field] : []) : undefined);
    this.#closedQuery = whole && this.#mask !== undefined ? this.#compileQuery([]) : undefined;
    this.#path = route.variables.map((variable) => new PathBinding(variable, route.bodyField, options.forms));
    this.#needsText = this.#mask !== undefined || (options.conflicts === "reject" && this.#path.length > 0);
    const parts = { body: this.#body, path: this.#path, options };
    this.#checkRequired = requiredCheck(route.method.input);
    const needsMessage = this.#mask !== undefined || this.#checkRequired !== undefined;
    this.#bytes = needsMessage ? undefined : compileByteBinder(route, parts);
  }

  bind(request: BindRequest): Message {
    return this.#bind(request, this.#needsText);
  }

  #bind(request: BindRequest, fromText: boolean): Message {
    const { body, query } = request;
    let text: string | undefined;
    let message: Message;
    if (body === undefined || body.length === 0) message = this.#body.empty();
    else if (request.format === "binary") message = this.#body.fromBinary(body);
    else if (typeof body === "string" || fromText) message = this.#body.fromJson((text = bodyText(body)));
    else message = this.#body.fromJson(body);
    if (query !== "" || this.#path.length > 0 || this.#mask !== undefined) {
      this.#bindRest(request, message, text);
    }
    this.#checkRequired?.(message);
    return message;
  }

  complete({ captures, query }: Pick<BindRequest, "captures" | "query">, message: Message): void {
    this.#bindRest({ captures, query, body: undefined }, message, undefined);
    this.#checkRequired?.(message);
  }

  bindBytes(request: BindRequest): Message | Uint8Array {
    const bytes = this.#bytes?.(request);
    if (bytes !== undefined) return bytes;
    // A body that could not become protobuf bytes at once cannot become a message at once.
    return this.#bind(request, this.#needsText || (this.#bytes !== undefined && request.query === ""));
  }

  systemParameters(query: string): SystemParameters {
    if (!this.#options.systemParameters || query === "") return systemParameterDefaults;
    return readSystemParameters(parseQuery(query, this.#options), this.#route.method.input);
  }

  /** Binds query and path, and derives the mask. `text` is the JSON body if there is one. */
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
    const { maxFieldDepth, forms, onIgnored, ...options } = this.#options;
    const { unknownQuery, unknownEnums, allowedQuery, systemParameters } = options;
    return new QueryBinder(
      method.input,
      { bound, only, maxFieldDepth, forms },
      {
        unknownQuery,
        unknownEnums,
        allowedQuery,
        systemParameters,
        onIgnored: onIgnored && ((name) => onIgnored("query", name)),
      },
    );
  }
}

function refusal(violations: readonly FieldViolation[]): Error {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  return invalidArgument(`${first?.field}: ${first?.description}${more}`, violations);
}
