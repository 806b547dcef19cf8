import { type GraphqlOptions, graphqlDefaults } from "./graphql-options.ts";
import { checkSchemaPeer } from "./peers.ts";
import type { SchemaContract } from "./schema.ts";

/** A change of a schema that breaks operations of clients. */
export interface BreakingChange {
  /** Its kind, as graphql names it: `FIELD_REMOVED`. */
  readonly type: string;
  /** A sentence with the names of what has changed. */
  readonly description: string;
}

/**
 * The schema of a contract in GraphQL's language, with comments as descriptions.
 *
 * @throws SetupError, by which it rejects, where graphql is not installed, or the contract cannot be a schema
 */
export async function schemaText(
  contract: SchemaContract,
  options: Partial<GraphqlOptions> = {},
): Promise<string> {
  await checkSchemaPeer();
  const { madeSchema } = await import("./schema.ts"); // It needs the packages.
  return madeSchema(contract, { ...graphqlDefaults, ...options }).sdl();
}

/**
 * What operations of clients may no longer do with a contract.
 *
 * @throws SetupError, by which it rejects, as `schemaText`
 */
export async function schemaChanges(
  before: SchemaContract,
  after: SchemaContract,
  options: Partial<GraphqlOptions> = {},
): Promise<readonly BreakingChange[]> {
  await checkSchemaPeer();
  const [{ madeSchema }, { breakingChanges }] = await Promise.all([
    import("./schema.ts"),
    import("./versions.ts"),
  ]);
  const merged = { ...graphqlDefaults, ...options };
  return breakingChanges(madeSchema(before, merged).schema, madeSchema(after, merged).schema);
}
