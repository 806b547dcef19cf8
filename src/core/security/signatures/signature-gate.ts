import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import {
  type FieldOccurrence,
  verifySignature,
  type RequestDescriptor,
  type Verifier,
} from "http-message-sig";
import type { CallHead } from "../../admission/call-head.ts";
import type { Gate } from "../../admission/gate.ts";
import { refusal } from "../../admission/refusal.ts";
import { retryInfo } from "../../errors/retry-info.ts";
import { checkBody } from "../../call/body-check.ts";
import { Selector } from "../../policy/selector.ts";
import { type Principal, principalKey } from "../principal.ts";
import { LocalReplayStore, type ReplayStore } from "../replay.ts";
import { schemes } from "./algorithms.ts";
import { coveredDigest, type CoveredDigest, isDigestOf } from "./content-digest.ts";
import type { SignatureKey } from "./signature-keys.ts";
import { type UsualSignature, usualSignature } from "./usual-signature.ts";

/** Options of `signatureGate`. */
export interface SignatureGateOptions {
  /** The keys that verify, by their ids: read for each call, so that they can be exchanged. */
  readonly keys: () => ReadonlyMap<string, SignatureKey>;
  /** The rpcs: `package.Service/Method`, `package.Service/*`, `package.*`. Default: all. */
  readonly rpc?: readonly string[];
  /** Components that a signature must cover, beside method, target and digest. Default: none. */
  readonly components?: readonly string[];
  /** How old a signature may be, in milliseconds. Default: 300,000. */
  readonly maxAgeMs?: number;
  /** Streams and WebSockets: refused, or verified by their headers alone. Default: `deny`. */
  readonly streams?: "deny" | "headers";
  /** Where nonces are remembered. Default: in this process. */
  readonly replay?: ReplayStore;
  /** Label of the signature that counts. Default: `sig1`. */
  readonly label?: string;
}

/** How far clocks may differ, in seconds. */
const skewSeconds = 5;
const defaultMaxAgeMs = 300_000;

/**
 * A gate that lets signed calls pass (RFC 9421): a signature covers method, target and, where there is a body, its
 * `content-digest` (RFC 9530), and has time, key and a nonce, which counts once. The principal of the call is the key.
 */
export function signatureGate(options: SignatureGateOptions): Gate {
  const { rpc = [], streams = "deny", components = [], maxAgeMs = defaultMaxAgeMs } = options;
  const { replay = new LocalReplayStore(), label = "sig1" } = options;
  const selectors = rpc.map((text) => new Selector(text));

  const policy: Policy = {
    label,
    components: ["@method", "@target-uri", ...components.map((name) => name.toLowerCase())],
    maxAgeSeconds: Math.floor(maxAgeMs / 1000),
    keys: options.keys,
  };
  const principals = new WeakMap<SignatureKey, Principal>();

  const verify = async (call: CallHead): Promise<CoveredDigest> => {
    const usual = usualSignature(call, label);
    const verified = usual === undefined ? await verifyAny(call, policy) : verifyUsual(usual, policy);
    await useOnce(replay, verified.claim, maxAgeMs + skewSeconds * 1000);
    const { key } = verified;
    let who = principals.get(key);
    if (who === undefined) principals.set(key, (who = principalOf(key)));
    call.context.values.set(principalKey, who);
    return verified.digest;
  };

  return {
    name: "signatures",
    concerns: (method: DescMethod) =>
      selectors.length === 0 || selectors.some((selector) => selector.matches(method)),
    async admit(call) {
      const digest = coveredDigest(call.headerValues("content-digest"), await verify(call));
      const isChecked = checkBody(call, (body) => {
        if (digest === undefined ? body.length > 0 : !isDigestOf(digest, body)) {
          throw invalid("the body is not the one that was signed");
        }
      });
      if (!isChecked && streams === "deny") throw invalid("streams cannot be signed here");
    },
  };
}

/** What a signature has to be. */
interface Policy extends Pick<SignatureGateOptions, "keys"> {
  readonly label: string;
  readonly components: readonly string[];
  readonly maxAgeSeconds: number;
}

/** What a good signature says. */
interface Verified {
  readonly key: SignatureKey;
  /** What counts once. */
  readonly claim: string;
  readonly digest: CoveredDigest;
}

/** As `verifyAny`, for the usual form of signatures alone. @throws ConnectError for one that does not hold */
function verifyUsual(
  { keyId, algorithm, nonce, created, expires, components, base, signature }: UsualSignature,
  { components: required, maxAgeSeconds, keys }: Policy,
): Verified {
  const now = Math.floor(Date.now() / 1000);
  const key = keyId === undefined ? undefined : keys().get(keyId);
  const isGood =
    key !== undefined &&
    (algorithm === undefined || algorithm === key.algorithm) &&
    nonce !== undefined &&
    created !== undefined &&
    created <= now + skewSeconds &&
    now - created <= maxAgeSeconds + skewSeconds &&
    (expires === undefined || expires >= now - skewSeconds) &&
    required.every((name) => components.includes(name)) &&
    schemes[key.algorithm].verify(key.key, base, signature);
  if (!isGood) throw invalid("the signature of this call does not hold");
  return {
    key,
    claim: `${keyId} ${nonce}`,
    digest: components.includes("content-digest") ? "all" : undefined,
  };
}

/** Verifies a signature by the whole grammar. @throws ConnectError for one that does not hold */
async function verifyAny(
  call: CallHead,
  { label, components, maxAgeSeconds, keys }: Policy,
): Promise<Verified> {
  const message = requestOf(call);
  if (message === undefined) throw invalid("this call needs a signature");
  let key: SignatureKey | undefined;
  try {
    const verified = await verifySignature(message, {
      label,
      policy: {
        algorithms: Object.keys(schemes),
        requiredComponents: components,
        requiredParameters: ["created", "keyid", "nonce"],
        maxAge: maxAgeSeconds,
        clockSkew: skewSeconds,
      },
      resolveVerifier({ parameters: { keyid = "", alg } }) {
        key = keys().get(keyid);
        if (key === undefined || (alg !== undefined && alg !== key.algorithm)) throw new Error("another key");
        return verifierOf(key);
      },
    });
    if (key === undefined) throw new Error("no key was asked for");
    return {
      key,
      claim: `${verified.parameters.keyid} ${verified.parameters.nonce}`,
      digest: digestOf(verified.components),
    };
  } catch {
    throw invalid("the signature of this call does not hold");
  }
}

/** What of `content-digest` is among the components: the field, or a member of it (RFC 9421, section 2.1.2). */
function digestOf(
  components: readonly { readonly name: string; readonly parameters: object }[],
): CoveredDigest {
  let member: string | undefined;
  for (const { name, parameters } of components) {
    if (name !== "content-digest") continue;
    const given = Object.entries(parameters) as readonly (readonly [string, unknown])[];
    if (given.length === 0) return "all";
    const [[key, value] = []] = given;
    if (given.length === 1 && key === "key" && typeof value === "string") member = value;
  }
  return member === undefined ? undefined : { member };
}

function principalOf({ id }: SignatureKey): Principal {
  return Object.freeze({
    id,
    provider: "signatures",
    kind: "custom",
    issuer: undefined,
    scopes: new Set<string>(),
    roles: new Set<string>(),
    claims: Object.freeze({}),
    expiresAtMs: undefined,
  });
}

/** After so many milliseconds a call may be signed again whose store was away. */
const storeRetryMs = 1_000;

async function useOnce(replay: ReplayStore, claim: string, ttlMs: number): Promise<void> {
  let isFirst: boolean;
  try {
    isFirst = await replay.claim(claim, ttlMs);
  } catch {
    throw refusal({
      kind: "replay",
      code: Code.Unavailable,
      reason: "REPLAY_STORE_UNAVAILABLE",
      message: "whether this signature was used before cannot be found out now",
      details: [retryInfo(storeRetryMs)],
    });
  }
  if (isFirst) return;
  throw refusal({
    kind: "replay",
    code: Code.Unauthenticated,
    reason: "REPLAYED",
    message: "this signature was used before",
  });
}

function invalid(message: string): ConnectError {
  return refusal({ kind: "signature", code: Code.Unauthenticated, reason: "SIGNATURE_INVALID", message });
}

function verifierOf({ algorithm, key }: SignatureKey): Verifier {
  return { algorithm, verify: (data, signature) => schemes[algorithm].verify(key, data, signature) };
}

/** What a signature may cover of a call; undefined for a call without one. */
function requestOf(call: CallHead): RequestDescriptor | undefined {
  const input = call.headerValues("signature-input");
  if (input.length === 0 || call.header("signature") === undefined) return undefined;
  const names = new Set(["signature-input", "signature"]);
  for (const [, name = ""] of input.join(",").matchAll(/"([a-z0-9_.-]+)"/g)) names.add(name);
  const fields: FieldOccurrence[] = [];
  for (const name of names) {
    for (const value of call.headerValues(name)) fields.push({ name, value });
  }
  const { httpMethod: method, scheme, authority, target } = call;
  return {
    kind: "request",
    method,
    targetUri: `${scheme}://${authority}${target}`,
    requestTarget: target,
    fields,
  };
}
