import type { TestContext } from "node:test";
import {
  CompactEncrypt,
  CompactSign,
  exportJWK,
  generateKeyPair,
  type CompactJWEHeaderParameters,
  type CryptoKey,
  type JWK,
} from "jose";
import type { RefusedCall } from "../../../src/core/call/observer.ts";
import {
  envelopeGate,
  type EnvelopeGateOptions,
  envelopeSigner,
  type EnvelopeKeys,
  readEnvelopeKeys,
} from "../../../src/entries/envelope.ts";
import { Code } from "@connectrpc/connect";
import type { HttpServerOptions, Interceptor } from "../../../src/index.ts";
import { startGateway } from "../../support/gateway-fixture.ts";

/** A pair of keys as `jose` makes it. */
export interface Pair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
}

/** A new pair, whose JWKs have these members. */
export async function pair(alg: string, more: JWK & { readonly crv?: string } = {}): Promise<Pair> {
  const { crv, ...members } = more;
  const keys = await generateKeyPair(alg, { extractable: true, ...(crv !== undefined && { crv }) });
  return {
    ...keys,
    publicJwk: { ...(await exportJWK(keys.publicKey)), ...members },
    privateJwk: { ...(await exportJWK(keys.privateKey)), ...members },
  };
}

/** The pairs of all tests: of the server, of a client that signs and of one that gets encrypted replies. */
export const server = {
  x25519: await pair("ECDH-ES+A256KW", { kid: "x25519", crv: "X25519" }),
  p256: await pair("ECDH-ES+A256KW", { kid: "p256", crv: "P-256" }),
  p384: await pair("ECDH-ES+A256KW", { kid: "p384", crv: "P-384" }),
  rsa: await pair("RSA-OAEP-256", { kid: "rsa" }),
} as const;
export const signers = {
  EdDSA: await pair("EdDSA", { kid: "ed", use: "sig" }),
  ES256: await pair("ES256", { kid: "es", use: "sig" }),
  PS256: await pair("PS256", { kid: "ps", use: "sig", alg: "PS256" }),
} as const;
export const client = await pair("ECDH-ES+A256KW", { kid: "client", use: "enc", crv: "X25519" });
export const rsaClient = await pair("RSA-OAEP-256", { kid: "rsa-client", use: "enc" });

export const keySet: EnvelopeKeys = readEnvelopeKeys(
  JSON.stringify({
    keys: [
      ...Object.values(server).map(({ privateJwk }) => privateJwk),
      ...Object.values(signers).map(({ publicJwk }) => publicJwk),
      client.publicJwk,
      rsaClient.publicJwk,
    ],
  }),
  "keys.json",
);

/** A JWE for the server's key of X25519, made by `jose`. */
export function jwe(
  content: string | Uint8Array,
  header: Readonly<Record<string, unknown>> = {},
  key: Pair = server.x25519,
): Promise<string> {
  const usual = { alg: "ECDH-ES+A256KW", enc: "A256GCM", kid: key.publicJwk.kid };
  const head = { ...usual, ...header } as CompactJWEHeaderParameters; // Wrong ones on purpose, too.
  return new CompactEncrypt(Buffer.from(content)).setProtectedHeader(head).encrypt(key.publicKey);
}

/** A JWS, made by `jose`. */
export function jws(
  content: string,
  alg: keyof typeof signers = "EdDSA",
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { privateKey, publicJwk } = signers[alg];
  return new CompactSign(Buffer.from(content))
    .setProtectedHeader({ alg, kid: String(publicJwk.kid), ...header })
    .sign(privateKey);
}

/** A gateway whose bodies may be encrypted. */
export async function start(
  t: TestContext,
  options: Partial<EnvelopeGateOptions> = {},
  more: Partial<HttpServerOptions> = {},
) {
  const seen: string[] = [];
  const signedBy: (string | undefined)[] = [];
  const look: Interceptor = (next) => (request) => {
    signedBy.push(envelopeSigner({ values: request.contextValues }));
    return next(request);
  };
  const observer = {
    started: () => void seen.push("started"),
    finished: () => void seen.push("finished"),
    refused: ({ kind, error }: RefusedCall) => void seen.push(`refused ${kind} ${Code[error.code]}`),
  };
  const gateway = await startGateway({
    gates: [envelopeGate({ keys: () => keySet, ...options })],
    interceptors: [look],
    observers: [observer],
    ...more,
  });
  t.after(() => gateway[Symbol.asyncDispose]());
  return { gateway, port: gateway.port, url: gateway.url, seen, signedBy };
}
