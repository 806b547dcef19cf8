import { type FaceOptions, faceDefaults } from "../face.ts";

/** Which documents clients may send, and which are known before. */
export interface PersistedOptions {
  /** Whether clients may send the hash of a document in place of the document, as Apollo's clients do. Default: true. */
  readonly automatic: boolean;
  /** Whether documents outside of `documents` are refused. Default: false. */
  readonly only: boolean;
  /**
   * Documents by their ids, or the path of a JSON file with an object of them. They have no limit of size. An id
   * `sha256:…` has to be the hash of its document. Default: none.
   */
  readonly documents: ReadonlyMap<string, string> | string | URL | undefined;
}

/** How large the cache of parsed documents may be, and that of documents which clients have sent with their hashes. */
export interface DocumentCacheOptions {
  /** Default: 1,000. */
  readonly entries: number;
  /** An estimate of what they take in memory, in bytes. Default: 16 MiB. */
  readonly bytes: number;
}

/** Options of `graphql()`. */
export interface GraphqlOptions extends FaceOptions {
  /** Path of queries, mutations, subscriptions and the playground. Default: `/graphql`. */
  readonly path: string;
  /** Whether browsers get a page to try operations on. Default: true. */
  readonly playground: boolean;
  /** Whether operations may ask for the schema, by `__schema` and `__type`. Default: true. */
  readonly introspection: boolean;
  /** The ways of subscriptions. Without `websocket` the package graphql-ws is not needed. Default: both. */
  readonly subscriptions: readonly ("websocket" | "sse")[];
  /** Names of rpcs: alone where they are unique, or always behind their service. Default: `short`. */
  readonly names: "short" | "service";
  /** Oneofs as a union of types and `@oneOf` inputs, or as fields of which one is set. Default: `union`. */
  readonly oneofs: "union" | "fields";
  /** Maps as lists of `{ key, value }`, or as one value of JSON. Default: `entries`. */
  readonly maps: "entries" | "json";
  /** How deep selections may be. Default: 15. */
  readonly maxDepth: number;
  /** How many fields may have aliases. Default: 50. */
  readonly maxAliases: number;
  /** Default: 50. */
  readonly maxDirectives: number;
  /** How many fields an operation may have at its root. Default: 20. */
  readonly maxRootFields: number;
  /** Of a document. Default: 2,000. */
  readonly maxTokens: number;
  /** Size of a document, in bytes. Default: 64 KiB. */
  readonly maxQueryBytes: number;
  /** The most points that an operation may cost, see `docs/graphql.md`. Default: 10,000. */
  readonly maxCost: number;
  /** How many items a list is thought to have where the request does not say it. Default: 20. */
  readonly listSize: number;
  /** The most rpcs that one operation may call. Default: 250. */
  readonly maxCalls: number;
  /** The most keys of one call of a batch rpc. Default: 100. */
  readonly maxBatch: number;
  /** How long keys of a batch are gathered, in milliseconds; 0 for the rest of the turn. Default: 0. */
  readonly batchMs: number;
  /** The most operations in one HTTP request; 0: a list of operations is refused. Default: 0. */
  readonly maxBatchedOperations: number;
  /** Default: hashes are taken, and any document. */
  readonly persisted: Partial<PersistedOptions>;
  /** Default: 1,000 documents, 16 MiB. */
  readonly documentCache: Partial<DocumentCacheOptions>;
  /** How long a WebSocket may take to send `connection_init`, in milliseconds. Default: 3,000. */
  readonly initTimeoutMs: number;
}

/** The defaults of {@link GraphqlOptions}. */
export const graphqlDefaults: GraphqlOptions = Object.freeze({
  ...faceDefaults,
  path: "/graphql",
  playground: true,
  introspection: true,
  subscriptions: Object.freeze(["websocket", "sse"] as const),
  names: "short",
  oneofs: "union",
  maps: "entries",
  maxDepth: 15,
  maxAliases: 50,
  maxDirectives: 50,
  maxRootFields: 20,
  maxTokens: 2_000,
  maxQueryBytes: 65_536,
  maxCost: 10_000,
  listSize: 20,
  maxCalls: 250,
  maxBatch: 100,
  batchMs: 0,
  maxBatchedOperations: 0,
  persisted: Object.freeze({}),
  documentCache: Object.freeze({}),
  initTimeoutMs: 3_000,
});

/** The defaults of {@link PersistedOptions}. */
export const persistedDefaults: PersistedOptions = Object.freeze({
  automatic: true,
  only: false,
  documents: undefined,
});

/** The defaults of {@link DocumentCacheOptions}. */
export const documentCacheDefaults: DocumentCacheOptions = Object.freeze({
  entries: 1_000,
  bytes: 16_777_216,
});
