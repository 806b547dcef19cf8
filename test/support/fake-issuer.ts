import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { JsonObject } from "@bufbuild/protobuf";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { createCertificate } from "./certificates.ts";

/** A key pair of an issuer. */
export interface IssuerKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  /** The public key as the issuer publishes it. */
  readonly jwk: JWK;
}

/** Makes a key pair. */
export async function createIssuerKey(kid: string, alg = "ES256"): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

/** Answers a request, or returns false to have the issuer answer it as a good one. */
export type IssuerScript = (path: string, response: ServerResponse, body: URLSearchParams) => boolean;

/**
 * An issuer of tokens by jose, on a server of this process: its metadata, its keys, introspection of tokens that are in
 * `active`. `script` makes it do what good issuers do not.
 */
export class FakeIssuer implements AsyncDisposable {
  /** Paths of the requests so far. */
  readonly calls: string[] = [];
  /** The keys that it publishes. */
  keys: JWK[] = [];
  /** What introspection says of tokens; of others it says that they are not active. */
  readonly active = new Map<string, JsonObject>();
  script: IssuerScript = () => false;
  /** Headers `authorization` of introspection so far. */
  readonly credentials: string[] = [];
  readonly #server: Server;
  readonly #authority: string | undefined;

  private constructor(server: Server, authority: string | undefined) {
    this.#server = server;
    this.#authority = authority;
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  static async start(...keys: readonly IssuerKey[]): Promise<FakeIssuer> {
    return FakeIssuer.#listen(new FakeIssuer(createServer(), undefined), keys);
  }

  /** By https, with a certificate that only `ca` vouches for. */
  static async startTls(...keys: readonly IssuerKey[]): Promise<FakeIssuer> {
    const ca = createCertificate({ name: "issuers" });
    const { cert, key } = createCertificate({ name: "issuer", hosts: ["localhost"], issuer: ca });
    return FakeIssuer.#listen(new FakeIssuer(createTlsServer({ cert, key }), ca.cert), keys);
  }

  static async #listen(issuer: FakeIssuer, keys: readonly IssuerKey[]): Promise<FakeIssuer> {
    issuer.keys = keys.map(({ jwk }) => jwk);
    issuer.#server.listen(0, "127.0.0.1");
    await once(issuer.#server, "listening");
    return issuer;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // Of a server that listens on TCP.
    return this.#authority === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  }

  /** The certificate of the authority that vouches for it. */
  get ca(): string {
    return this.#authority ?? "";
  }

  /** How often its keys were fetched. */
  get fetches(): number {
    return this.calls.filter((path) => path === "/jwks").length;
  }

  /** A token of this issuer for `library`, good for five minutes, with changes. */
  async token(
    key: IssuerKey,
    claims: JsonObject = {},
    header: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const all = { iss: this.url, aud: "library", sub: "ada", iat: now, exp: now + 300, ...claims };
    return signToken(key, all, header);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return; // The client has given up.
    }
    const path = request.url ?? "";
    this.calls.push(path);
    const form = new URLSearchParams(Buffer.concat(parts).toString());
    if (this.script(path, response, form)) return;
    const answer = this.#answer(path, request, form);
    response.statusCode = answer === undefined ? 404 : 200;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer ?? {}));
  }

  #answer(path: string, request: IncomingMessage, form: URLSearchParams): JsonObject | undefined {
    if (path === "/.well-known/openid-configuration")
      return { issuer: this.url, jwks_uri: `${this.url}/jwks` };
    if (path === "/jwks") return { keys: this.keys as JsonObject[] }; // JWKs are JSON.
    if (path !== "/introspect" || request.method !== "POST") return undefined;
    this.credentials.push(request.headers.authorization ?? "");
    return this.active.get(form.get("token") ?? "") ?? { active: false };
  }
}

/** A token with exactly these claims. A header member that is undefined is left out. */
export async function signToken(
  { privateKey, alg, kid }: IssuerKey,
  claims: JsonObject,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const members = Object.entries({ alg, kid, ...header }).filter(([, value]) => value !== undefined);
  const all = Object.fromEntries(members) as { alg: string }; // As it was given.
  return new SignJWT(claims).setProtectedHeader(all).sign(privateKey);
}
