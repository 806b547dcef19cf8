/** The rpcs of a server as GraphQL, `ts-ms/graphql`. */
export { graphql } from "../gateway/faces/graphql/graphql.ts";
export {
  graphqlDefaults,
  type DocumentCacheOptions,
  type GraphqlOptions,
  type PersistedOptions,
} from "../gateway/faces/graphql/graphql-options.ts";
export { type BreakingChange, schemaChanges, schemaText } from "../gateway/faces/graphql/schema-text.ts";
