import * as graphqlModule from "graphql";
import {
  type FieldNode,
  getArgumentValues,
  getVariableValues,
  GraphQLError,
  type GraphQLErrorOptions,
  type GraphQLField,
  type GraphQLSchema,
  GraphQLScalarType,
  type ParseOptions,
  type ValueNode,
  type VariableDefinitionNode,
  valueFromASTUntyped,
} from "graphql";

/** What is called differently in the versions 16 and 17 of graphql: both names are given here, and nowhere else. */

/** How the values of a scalar are written and read. */
export interface ScalarInit {
  readonly name: string;
  readonly description: string;
  readonly specifiedByURL?: string;
  /** @throws GraphQLError for a value that it cannot be */
  readonly write: (value: unknown) => unknown;
  /** Reads the value of a variable. @throws GraphQLError */
  readonly readValue: (value: unknown) => unknown;
  /** Reads a literal of a document. Default: as its plain value */
  readonly readLiteral?: (node: ValueNode) => unknown;
}

/** Makes a scalar. */
export function scalarType({ name, description, specifiedByURL, ...init }: ScalarInit): GraphQLScalarType {
  const { write, readValue, readLiteral } = init;
  const read = (node: ValueNode, variables?: Readonly<Record<string, unknown>> | null): unknown =>
    readLiteral === undefined ? readValue(valueFromASTUntyped(node, variables)) : readLiteral(node);
  const older = { serialize: write, parseValue: readValue, parseLiteral: read };
  return new GraphQLScalarType({
    ...older,
    name,
    description,
    ...(specifiedByURL !== undefined && { specifiedByURL }),
    coerceOutputValue: write,
    coerceInputValue: readValue,
    coerceInputLiteral: read,
  });
}

/** What a leaf type reads and writes. */
interface LeafValues {
  readonly serialize?: (value: unknown) => unknown;
  readonly coerceOutputValue?: (value: unknown) => unknown;
  readonly parseValue?: (value: unknown) => unknown;
  readonly coerceInputValue?: (value: unknown) => unknown;
}

/** The value of a leaf type as it is in results. @throws GraphQLError */
export function written(type: object, value: unknown): unknown {
  const leaf = type as LeafValues; // Leaf types have the one or the other.
  return leaf.coerceOutputValue === undefined ? leaf.serialize?.(value) : leaf.coerceOutputValue(value);
}

/** The value of a leaf type that a variable has given. @throws GraphQLError */
export function readBy(type: object, value: unknown): unknown {
  const leaf = type as LeafValues; // Leaf types have the one or the other.
  return leaf.coerceInputValue === undefined ? leaf.parseValue?.(value) : leaf.coerceInputValue(value);
}

/** The variables of an operation, as its version of graphql has them. */
export interface Variables {
  /** Their values by name; those that are not given are missing. */
  readonly values: Readonly<Record<string, unknown>>;
  /** What `argumentsOf` needs. */
  readonly own: Parameters<typeof getArgumentValues>[2];
}

/** Reads the values of variables; undefined where one is wrong. */
export function variablesOf(
  schema: GraphQLSchema,
  definitions: readonly VariableDefinitionNode[],
  given: Readonly<Record<string, unknown>>,
): Variables | undefined {
  const read = getVariableValues(schema, definitions, given) as {
    readonly coerced?: Variables["values"]; // Version 16.
    readonly variableValues?: { readonly coerced: Variables["values"] };
  };
  const values = read.variableValues?.coerced ?? read.coerced;
  // Each version takes what it has given.
  return values && { values, own: (read.variableValues ?? values) as unknown as Variables["own"] };
}

/** The values of the arguments of a field. @throws GraphQLError for one that is wrong */
export function argumentsOf(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  variables: Variables,
): Readonly<Record<string, unknown>> {
  return getArgumentValues(field, node, variables.own);
}

/** What was thrown and has become an error of GraphQL; undefined for an error of GraphQL itself. */
export function causeOf(error: GraphQLError): unknown {
  const { originalError } = error as unknown as { originalError?: unknown };
  return originalError ?? error.cause;
}

/** An error of GraphQL that has come of another one. */
export function causedError(message: string, cause: Error): GraphQLError {
  const options = { originalError: cause, cause };
  return new GraphQLError(message, options satisfies GraphQLErrorOptions);
}

/** The option of the parser that limits the tokens of a document. */
export function tokenLimit(most: number): ParseOptions {
  const limits = { maxTokens: most, maxLexicalTokens: most };
  return limits;
}

/** The changes that break operations of clients. */
export function breakingChanges(
  before: GraphQLSchema,
  after: GraphQLSchema,
): readonly { readonly type: string; readonly description: string }[] {
  // Version 18 will not have it any more: then `findSchemaChanges` says it too.
  const { findBreakingChanges } = graphqlModule as unknown as {
    readonly findBreakingChanges: (
      one: GraphQLSchema,
      other: GraphQLSchema,
    ) => readonly { readonly type: string; readonly description: string }[];
  };
  return findBreakingChanges(before, after);
}
