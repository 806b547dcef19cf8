import type { DescMethod } from "@bufbuild/protobuf";
import { invalidArgument } from "../../../core/errors/errors.ts";
import { pathOf, queryOf } from "../../../core/net/request-target.ts";
import { sendTagged, type Tagged, tagged } from "../../http/browsers/tagged-document.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { Contract } from "../face.ts";
import { inSlices } from "../in-slices.ts";
import { type DocumentInit, makeDocument } from "./document.ts";
import { jsonText, yamlDocument } from "./document-text.ts";
import { type ForeignDocument, foreignDocument } from "./foreign-documents.ts";
import { type DocumentSecurity, documentSecurity } from "./security-schemes.ts";
import type { DocumentVersion } from "./stream-content.ts";

const versions: Readonly<Record<string, DocumentVersion>> = {
  "": "3.1.1",
  "3.1": "3.1.1",
  "3.1.1": "3.1.1",
  "3.2": "3.2.0",
  "3.2.0": "3.2.0",
};

const documentHeaders = { "cache-control": "no-cache", vary: "accept-encoding" };

/** What all documents of one contract are made of. */
export interface DocumentParts extends Pick<DocumentInit, "shown" | "ids" | "options" | "host" | "registry"> {
  readonly comments: Contract["comments"];
}

/** The documents of one contract, each made once. */
export class Documents {
  readonly #parts: DocumentParts;
  readonly #made = new Map<string, Promise<Tagged>>();
  #known: ForeignDocument | undefined;
  /** The rpcs that are shown, each once. */
  readonly #methods: readonly DescMethod[];
  /** Who may call what, as the documents that are made say. */
  #secured = "";

  constructor(parts: DocumentParts) {
    this.#parts = parts;
    this.#methods = [...new Set(parts.shown.routes.map(({ method }) => method))];
  }

  /** What options of other projects say; read when a document is first asked for. */
  get #foreign(): ForeignDocument {
    return (this.#known ??= foreignDocument(new Set(this.#parts.shown.services.map(({ file }) => file))));
  }

  /** Answers a request. @throws ConnectError, by which it rejects, as `#at` */
  async answer(exchange: HttpExchange): Promise<void> {
    sendTagged(await this.#at(exchange.head.url), documentHeaders, exchange);
  }

  /** The document that a request asks for. @throws ConnectError INVALID_ARGUMENT for a version that there is not */
  #at(url: string): Promise<Tagged> {
    const path = pathOf(url);
    const query = new URLSearchParams(queryOf(url, path));
    const version = versions[query.get("version") ?? ""];
    if (version === undefined) {
      throw invalidArgument("there is no OpenAPI of this version here", [
        { field: "version", description: "is one of 3.1 and 3.2" },
      ]);
    }
    const inputs = query.get("inputs") ?? this.#parts.options.inputs;
    if (inputs !== "canonical" && inputs !== "exact") {
      throw invalidArgument("there are no such inputs", [
        { field: "inputs", description: "is canonical or exact" },
      ]);
    }
    const isYaml = path.endsWith(".yaml");
    const security = this.#security();
    const key = `${version} ${inputs} ${isYaml}`;
    let made = this.#made.get(key);
    if (made === undefined) {
      made = this.#make({ version, inputs, security }, isYaml);
      this.#made.set(key, made);
      made.catch(() => this.#made.delete(key)); // The next request tries again.
    }
    return made;
  }

  /** As gates are now: a reload may have changed them, and then documents are made again. */
  #security(): DocumentSecurity {
    const { options, host } = this.#parts;
    const hasOwn = Object.keys(options.security).length > 0;
    const given = hasOwn ? options.security : this.#foreign.securitySchemes;
    const security = documentSecurity(given, host.live().gates);
    const secured = security.key(this.#methods);
    if (secured !== this.#secured) this.#made.clear();
    this.#secured = secured;
    return security;
  }

  async #make(form: Pick<DocumentInit, "version" | "inputs" | "security">, isYaml: boolean): Promise<Tagged> {
    const comments = await this.#parts.comments();
    const document = await inSlices(
      makeDocument({ ...this.#parts, ...form, comments, foreign: this.#foreign }),
    );
    const text = await inSlices(isYaml ? yamlDocument(document) : jsonText(document));
    return tagged(Buffer.from(text), isYaml ? "application/yaml" : "application/json");
  }
}
