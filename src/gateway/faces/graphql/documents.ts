import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  parse,
  specifiedRules,
  validate,
} from "graphql";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { ContractSchema } from "./schema.ts";
import { documentCacheDefaults, type GraphqlOptions } from "./graphql-options.ts";
import { checkLimits } from "./limits.ts";
import { BoundedMap } from "../../../core/security/bounded-map.ts";
import { Refusal } from "./refusal.ts";
import { tokenLimit } from "./versions.ts";

/** A document that may be executed. */
export interface ValidDocument {
  readonly document: DocumentNode;
  readonly operations: readonly OperationDefinitionNode[];
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** Whether operations of it ask for the schema. */
  readonly introspects: boolean;
}

/** What is wrong with a request as GraphQL says it: the HTTP status depends on what the client accepts. */
export class RequestErrors extends Error {
  readonly errors: readonly GraphQLError[];
  /** Label of metrics. */
  readonly reason: "syntax" | "invalid";

  constructor(reason: RequestErrors["reason"], errors: readonly GraphQLError[]) {
    super(errors[0]?.message);
    this.reason = reason;
    this.errors = errors;
  }
}

/** The most errors that an answer names. */
const maxErrors = 20;

/** What a character of a document is thought to take in memory once it is parsed and compiled, in bytes. */
const bytesPerCharacter = 80;

/** Parses and validates documents of one schema, and keeps those that are used. */
export class Documents {
  readonly #schema: ContractSchema;
  readonly #options: GraphqlOptions;
  readonly #kept: BoundedMap<ValidDocument>;

  constructor(schema: ContractSchema, options: GraphqlOptions) {
    this.#schema = schema;
    this.#options = options;
    this.#kept = new BoundedMap({ ...documentCacheDefaults, ...options.documentCache });
  }

  /**
   * @param trusted whether the document is one that the server has been given, which may be of any size
   * @throws Refusal for one over the limits, RequestErrors for one that is wrong
   */
  get(text: string, trusted: boolean): ValidDocument {
    const kept = this.#kept.use(text);
    if (kept !== undefined) return kept;
    const made = this.#make(text, trusted);
    this.#kept.set(text, made, text.length * bytesPerCharacter);
    return made;
  }

  #make(text: string, trusted: boolean): ValidDocument {
    const { maxQueryBytes, introspection } = this.#options;
    const bytes = trusted ? 0 : Buffer.byteLength(text);
    if (bytes > maxQueryBytes) {
      throw new Refusal(
        "size",
        `the document has ${bytes} bytes, and may have ${maxQueryBytes} (maxQueryBytes)`,
      );
    }
    const document = this.#parse(text, trusted);
    const { introspects } = checkLimits(document, this.#options);
    if (introspects && !introspection)
      throw new Refusal("introspection", "this server does not show its schema");
    const errors = validate(this.#schema.schema, document, specifiedRules, {
      maxErrors,
      hideSuggestions: !introspection,
    });
    if (errors.length > 0)
      throw new RequestErrors("invalid", introspection ? errors : errors.map(withoutNames));
    const fragments = document.definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
    return {
      document,
      operations: document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION),
      fragments: new Map(fragments.map((fragment) => [fragment.name.value, fragment])),
      introspects,
    };
  }

  #parse(text: string, trusted: boolean): DocumentNode {
    const { maxTokens } = this.#options;
    try {
      return parse(text, trusted ? {} : tokenLimit(maxTokens));
    } catch (reason) {
      if (!(reason instanceof GraphQLError)) throw tooNested(reason);
      // The parser has no other sign of it.
      if (/contains more th?a[tn] \d+ tokens/.test(reason.message)) {
        throw new Refusal("tokens", `the document has more than ${maxTokens} tokens (maxTokens)`);
      }
      throw new RequestErrors("syntax", [reason]);
    }
  }
}

/** The operation of a document that a request asks for. @throws RequestErrors where that is none, or not said */
export function operationOf(
  { operations }: ValidDocument,
  name: string | undefined,
): OperationDefinitionNode {
  const [first, ...more] = operations;
  const found =
    name === undefined
      ? more.length === 0
        ? first
        : undefined
      : operations.find((one) => one.name?.value === name);
  if (found !== undefined) return found;
  const text =
    name !== undefined
      ? `the document has no operation ${JSON.stringify(name.slice(0, 100))}`
      : first === undefined
        ? "the document has no operation"
        : "the document has several operations: say which one by operationName";
  throw new RequestErrors("invalid", [new GraphQLError(text)]);
}

/** Without the names that the text suggests. */
function withoutNames(error: GraphQLError): GraphQLError {
  const text = error.message.replace(/ Did you mean .*$/s, "");
  return text === error.message ? error : new GraphQLError(text, { nodes: error.nodes });
}

/** The stack has ended before the document. */
function tooNested(reason: unknown): unknown {
  return reason instanceof RangeError
    ? new ConnectError("the document is nested too deeply", Code.InvalidArgument)
    : reason;
}
