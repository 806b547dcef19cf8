import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { Provider } from "oidc-provider";

/** The audiences of tokens: of the first one they are JWTs, of the second one opaque. */
export const audiences = { jwt: "urn:shop", opaque: "urn:shop:opaque" } as const;

const client = { id: "billing", secret: "correct-horse" } as const;

/** A new private key of an issuer, as a JWK. */
export function newIssuerKey(): Record<string, unknown> {
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  return { ...jwk, kid: randomUUID(), alg: "ES256", use: "sig" };
}

/** An OpenID provider by other authors, on a port of this process. */
export class OidcIssuer implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;
  /** Requests by their paths. */
  readonly asked = new Map<string, number>();

  private constructor(url: string, server: Server) {
    this.url = url;
    this.#server = server;
  }

  /** @param port default: one that is free */
  static async start(keys: readonly Record<string, unknown>[], port = 0): Promise<OidcIssuer> {
    const server = createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    // A server on a port has this form of address.
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const provider = new Provider(url, {
      jwks: { keys: keys.map((key) => ({ ...key })) },
      clients: [
        {
          client_id: client.id,
          client_secret: client.secret,
          grant_types: ["client_credentials"],
          redirect_uris: [],
          response_types: [],
          id_token_signed_response_alg: "ES256",
        },
      ],
      scopes: ["openid", "read", "write"],
      ttl: { ClientCredentials: 600 },
      features: {
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        revocation: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_context: unknown, audience: string) => ({
            audience,
            scope: "read write",
            accessTokenTTL: 600,
            accessTokenFormat: audience === audiences.opaque ? "opaque" : "jwt",
            jwt: { sign: { alg: "ES256" } },
          }),
        },
      },
    });
    const issuer = new OidcIssuer(url, server);
    const answer = provider.callback();
    server.on("request", (request, response) => {
      const path = (request.url ?? "").split("?")[0] ?? "";
      issuer.asked.set(path, (issuer.asked.get(path) ?? 0) + 1);
      response.setHeader("connection", "close"); // So that a client of a stopped issuer connects to the next one.
      answer(request, response);
    });
    return issuer;
  }

  /** Where it tells about tokens, and the client that may ask. */
  get introspection(): { endpoint: string; clientId: string; clientSecret: string } {
    return { endpoint: `${this.url}/token/introspection`, clientId: client.id, clientSecret: client.secret };
  }

  /** A new access token of the client itself. */
  async token(audience: string, scope = "read"): Promise<string> {
    const reply = await this.#post("/token", { grant_type: "client_credentials", resource: audience, scope });
    const text = await reply.text();
    if (reply.status !== 200) throw new Error(`the issuer gives no token: ${text}`);
    return (JSON.parse(text) as { readonly access_token: string }).access_token; // RFC 6749 5.1.
  }

  /** Takes a token back (RFC 7009). */
  async revoke(token: string): Promise<void> {
    const reply = await this.#post("/token/revocation", { token });
    if (reply.status !== 200) throw new Error(`the issuer does not revoke: ${reply.status}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #post(path: string, form: Record<string, string>): Promise<Response> {
    const credentials = Buffer.from(`${client.id}:${client.secret}`).toString("base64");
    return fetch(this.url + path, {
      method: "POST",
      headers: { authorization: `Basic ${credentials}` },
      body: new URLSearchParams(form),
    });
  }
}
