import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isMembers } from "../../../core/codec/json-members.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import {
  documentCacheDefaults,
  type GraphqlOptions,
  type PersistedOptions,
  persistedDefaults,
} from "./graphql-options.ts";
import { BoundedMap } from "../../../core/security/bounded-map.ts";
import { Refusal } from "./refusal.ts";
import type { OperationRequest } from "./request.ts";

/** A document, and whether the server was given it. */
export interface FoundDocument {
  readonly text: string;
  readonly trusted: boolean;
}

/** What a character of a text takes in memory at most, in bytes. */
const bytesPerCharacter = 2;

/** Finds the documents of requests, where these name them by an id or a hash. */
export class Persisted {
  readonly #options: PersistedOptions;
  readonly #trusted: ReadonlyMap<string, string>;
  readonly #texts: ReadonlySet<string>;
  /** Documents that clients have sent, by their hashes. */
  readonly #sent: BoundedMap<string>;

  /** @throws SetupError for documents that cannot be read, and for an id that is not the hash of its document */
  constructor({ persisted, documentCache }: Pick<GraphqlOptions, "persisted" | "documentCache">) {
    this.#options = { ...persistedDefaults, ...persisted };
    this.#sent = new BoundedMap({ ...documentCacheDefaults, ...documentCache });
    this.#trusted = documentsIn(this.#options.documents);
    this.#texts = new Set(this.#trusted.values());
    if (this.#options.only && this.#trusted.size === 0) {
      throw new SetupError("graphql: persisted.only refuses all documents: give some by persisted.documents");
    }
  }

  /** @throws Refusal for a document that is not there, or may not be sent */
  find({ query, documentId, extensions }: OperationRequest): FoundDocument {
    const hash = hashIn(extensions);
    const id = documentId ?? hash;
    const trusted =
      id === undefined ? undefined : (this.#trusted.get(id) ?? this.#trusted.get(`sha256:${id}`));
    if (trusted !== undefined) return { text: trusted, trusted: true };
    if (query !== undefined && this.#texts.has(query)) return { text: query, trusted: true };
    if (this.#options.only) {
      throw new Refusal("not_persisted", "this server takes the documents only that it has been given", {
        status: 403,
        code: "PERSISTED_QUERY_REQUIRED",
      });
    }
    if (hash !== undefined && this.#options.automatic) return this.#automatic(hash, query);
    if (hash !== undefined && query === undefined) {
      throw new Refusal("not_persisted", "PersistedQueryNotSupported", {
        status: 200,
        code: "PERSISTED_QUERY_NOT_SUPPORTED",
      });
    }
    if (query !== undefined) return { text: query, trusted: false };
    if (documentId !== undefined)
      throw notFound(`there is no document ${JSON.stringify(documentId.slice(0, 100))}`);
    throw new Refusal("malformed", 'the request has no "query"');
  }

  #automatic(hash: string, query: string | undefined): FoundDocument {
    if (query === undefined) {
      const text = this.#sent.use(hash);
      // Clients look for this text, as Apollo's servers have it.
      if (text === undefined) throw notFound("PersistedQueryNotFound");
      return { text, trusted: false };
    }
    if (sha256(query) !== hash) throw new Refusal("wrong_hash", "the hash is not the one of the document");
    this.#sent.set(hash, query, query.length * bytesPerCharacter);
    return { text: query, trusted: false };
  }
}

function notFound(message: string): Refusal {
  return new Refusal("not_found", message, { status: 200, code: "PERSISTED_QUERY_NOT_FOUND" });
}

/** The hash of `extensions.persistedQuery`. */
function hashIn(extensions: OperationRequest["extensions"]): string | undefined {
  const persisted = extensions?.["persistedQuery"];
  if (persisted === undefined || persisted === null) return undefined;
  if (isMembers(persisted) && persisted["version"] === 1 && typeof persisted["sha256Hash"] === "string") {
    return persisted["sha256Hash"].toLowerCase();
  }
  throw new Refusal("malformed", "extensions.persistedQuery: expected version 1 with a sha256Hash");
}

function documentsIn(source: PersistedOptions["documents"]): ReadonlyMap<string, string> {
  if (source === undefined) return new Map();
  const documents =
    source instanceof Map ? (source as ReadonlyMap<string, string>) : readDocuments(source as string | URL); // As its type says.
  for (const [id, text] of documents) {
    if (typeof text !== "string") throw new SetupError(`graphql: persisted.documents: ${id} is no text`);
    if (id.startsWith("sha256:") && id !== `sha256:${sha256(text)}`) {
      throw new SetupError(
        `graphql: persisted.documents: ${id} is not the hash of its document, sha256:${sha256(text)}`,
      );
    }
  }
  return documents;
}

function readDocuments(file: string | URL): ReadonlyMap<string, string> {
  try {
    const read: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (isMembers(read)) return new Map(Object.entries(read) as [string, string][]); // `documentsIn` looks at the texts.
  } catch (cause) {
    throw new SetupError(`graphql: persisted.documents: ${String(file)} cannot be read`, { cause });
  }
  throw new SetupError(
    `graphql: persisted.documents: ${String(file)}: expected an object of documents by their ids`,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
