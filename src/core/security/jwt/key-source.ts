import { askForJson, issuerUrl } from "../http-exchange.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { CheckedJwtOptions } from "./jwt-options.ts";
import { readKeys } from "./verification-keys.ts";

/** Where the keys of an issuer come from: the set as it is published now. */
export type KeySource = (signal: AbortSignal) => Promise<unknown>;

/** A larger document is given up, in bytes. */
const maxBytes = 256 * 1024;

/** The paths at which issuers say where their keys are, behind the issuer and before its own path. */
const openId = "/.well-known/openid-configuration";
const oauth = "/.well-known/oauth-authorization-server";

/**
 * Where the keys of an issuer come from, by its options.
 *
 * @param owner the provider, for errors
 * @throws SetupError for a URL that is neither by https nor of this host
 */
export function networkKeySource(options: CheckedJwtOptions, owner: string): KeySource {
  const { issuer, jwksUri, ca, fetchTimeoutMs: timeoutMs } = options;
  const fetchJson = (url: URL, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> =>
    askForJson({ url, timeoutMs, maxBytes, ca, signal });
  if (jwksUri !== undefined) {
    const url = issuerUrl(jwksUri, `${owner}: jwksUri`);
    return (signal) => fetchJson(url, signal);
  }
  const base = issuerUrl(issuer, `${owner}: the issuer, from which the keys are discovered,`);
  let known: URL | undefined;
  return async (signal) => {
    const url = known ?? (await discover(base, issuer, (at) => fetchJson(at, signal)));
    known = undefined; // An issuer that moved its keys is asked again after a failure.
    const keys = await fetchJson(url, signal);
    known = url;
    return keys;
  };
}

async function discover(
  base: URL,
  issuer: string,
  fetchJson: (url: URL) => Promise<Readonly<Record<string, unknown>>>,
): Promise<URL> {
  const path = base.pathname.replace(/\/$/, "");
  const failures: string[] = [];
  for (const at of [`${path}${openId}`, `${oauth}${path}`]) {
    try {
      return keysUrl(await fetchJson(new URL(at, base)), issuer);
    } catch (error) {
      failures.push(`${at}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`the keys cannot be discovered: ${failures.join("; ")}`);
}

function keysUrl(document: Readonly<Record<string, unknown>>, issuer: string): URL {
  const { issuer: said, jwks_uri: uri } = document;
  if (said !== issuer) throw new Error("the document is of another issuer");
  if (typeof uri !== "string") throw new Error("the document has no jwks_uri");
  return issuerUrl(uri, "jwks_uri");
}

/** The set in a file. @throws SetupError if it is none */
export function parseKeyFile(text: string, path: string): unknown {
  try {
    const set: unknown = JSON.parse(text);
    if (readKeys(set).keys.length > 0) return set;
  } catch (error) {
    const problem =
      error instanceof SyntaxError ? "this is not JSON" : error instanceof Error ? error.message : "";
    throw new SetupError(`${path}: ${problem}`);
  }
  throw new SetupError(`${path}: no key of the set can verify tokens`);
}
