import { type KeyObject, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { component, createSignatureSync, type SignerSync } from "http-message-sig";
import type { RequestSigner, SignedRequest } from "../../metadata/request-signer.ts";
import { algorithmOf, schemes } from "./algorithms.ts";
import { contentDigest } from "./content-digest.ts";
import { signingKey } from "./signature-keys.ts";

/** Options of `requestSigner` and `responseSigner`. */
export interface SignerOptions {
  /** Name of the key, by which the other side finds it. */
  readonly keyId: string;
  /** A private key in PEM, the bytes of a secret, a key object, or a file with a private key. */
  readonly key: string | Uint8Array | KeyObject | { readonly file: string };
  /** Header fields that are signed too, where a message has them. Default: none. */
  readonly components?: readonly string[];
  /** Label of the signature. Default: `sig1`. */
  readonly label?: string;
}

/** An answer of HTTP as its signature covers it. */
export interface SignedResponse {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array | undefined;
  /** The request that it answers. */
  readonly request: SignedRequest;
}

type Fields = readonly (readonly [name: string, value: string])[];

/**
 * Signs requests (RFC 9421): method, target, `content-digest` of the body, time, key and a new nonce. The option `sign` of
 * `dial` takes it; for other clients, `sign` gives the header fields to add.
 *
 * @throws SetupError for a key that cannot sign; Error if its file cannot be read
 */
export function requestSigner(options: SignerOptions): RequestSigner {
  const sign = signerOf("requestSigner", options);
  return {
    sign({ method, targetUri, fields, body }) {
      const all = withDigest(fields, body);
      const message = { kind: "request", method, targetUri, fields: all.map(occurrence) } as const;
      return [...all.slice(fields.length), ...sign(message, ["@method", "@target-uri"], all)];
    },
  };
}

/** Signs answers: status, `content-digest`, and the method of the request. @throws as `requestSigner` */
export function responseSigner(options: SignerOptions): { sign(response: SignedResponse): Fields } {
  const sign = signerOf("responseSigner", options);
  return {
    sign({ status, fields, body, request: { method, targetUri, fields: asked } }) {
      const all = withDigest(fields, body);
      const request = { kind: "request", method, targetUri, fields: asked.map(occurrence) } as const;
      const message = { kind: "response", status, request, fields: all.map(occurrence) } as const;
      const components = ["@status", component("@method", { req: true })];
      return [...all.slice(fields.length), ...sign(message, components, all)];
    },
  };
}

type Message = Parameters<typeof createSignatureSync>[0];
type Components = Parameters<typeof createSignatureSync>[1]["components"];

function signerOf(
  owner: string,
  { keyId, key: given, components: more = [], label = "sig1" }: SignerOptions,
): (message: Message, components: Components, fields: Fields) => Fields {
  const isFile = typeof given === "object" && "file" in given;
  const key = signingKey(isFile ? readFileSync(given.file, "utf8") : given, owner);
  const algorithm = algorithmOf(key, owner);
  const signer: SignerSync = { algorithm, sign: (data) => schemes[algorithm].sign(key, data) };
  const wanted = ["content-digest", ...more.map((name) => name.toLowerCase())];
  return (message, components, fields) => {
    const present = wanted.filter((name) => fields.some(([field]) => field === name));
    const { signature, signatureInput } = createSignatureSync(message, {
      label,
      components: [...components, ...present],
      parameters: {
        created: Math.floor(Date.now() / 1000),
        keyid: keyId,
        alg: algorithm,
        nonce: randomUUID(),
      },
      signer,
    });
    return [
      ["signature-input", signatureInput],
      ["signature", signature],
    ];
  };
}

function withDigest(fields: Fields, body: Uint8Array | undefined): Fields {
  const needsOne =
    body !== undefined && body.length > 0 && !fields.some(([name]) => name === "content-digest");
  return needsOne ? [...fields, ["content-digest", contentDigest(body)]] : fields;
}

function occurrence([name, value]: readonly [string, string]): { name: string; value: string } {
  return { name, value };
}
