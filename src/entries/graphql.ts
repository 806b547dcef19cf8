export { graphql } from "../gateway/faces/graphql/graphql.ts";
export {
  graphqlDefaults,
  type DocumentCacheOptions,
  type GraphqlOptions,
  type PersistedOptions,
} from "../gateway/faces/graphql/graphql-options.ts";
