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
import { checkBody } from "../../call/body-check.ts";
import { Selector } from "../../policy/selector.ts";
import { principalKey } from "../principal.ts";
import { LocalReplayStore, type ReplayStore } from "../replay.ts";
import { schemes } from "./algorithms.ts";
import { isDigestOf } from "./content-digest.ts";
import type { SignatureKey } from "./signature-keys.ts";

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
  const required = ["@method", "@target-uri", ...components];

  const verify = async (call: CallHead): Promise<ReadonlySet<string>> => {
    const message = requestOf(call);
    if (message === undefined) throw invalid("this call needs a signature");
    let covered: ReadonlySet<string>;
    let claim: string;
    let key: SignatureKey | undefined;
    try {
      const verified = await verifySignature(message, {
        label,
        policy: {
          algorithms: Object.keys(schemes),
          requiredComponents: required,
          requiredParameters: ["created", "keyid", "nonce"],
          maxAge: Math.floor(maxAgeMs / 1000),
          clockSkew: skewSeconds,
        },
        resolveVerifier({ parameters: { keyid = "", alg } }) {
          key = options.keys().get(keyid);
          if (key === undefined || (alg !== undefined && alg !== key.algorithm))
            throw new Error("another key");
          return verifierOf(key);
        },
      });
      covered = new Set<string>(verified.components.map(({ name }) => name));
      claim = `${verified.parameters.keyid} ${verified.parameters.nonce}`;
    } catch {
      throw invalid("the signature of this call does not hold");
    }
    if (key === undefined) throw invalid("the signature of this call does not hold");
    await useOnce(replay, claim, maxAgeMs + skewSeconds * 1000);
    call.context.values.set(principalKey, {
      id: key.id,
      provider: "signatures",
      kind: "custom",
      issuer: undefined,
      scopes: new Set<string>(),
      roles: new Set<string>(),
      claims: {},
      expiresAtMs: undefined,
    });
    return covered;
  };

  return {
    name: "signatures",
    concerns: (method: DescMethod) =>
      selectors.length === 0 || selectors.some((selector) => selector.matches(method)),
    async admit(call) {
      const covered = await verify(call);
      const digest = covered.has("content-digest")
        ? call.headerValues("content-digest").join(", ")
        : undefined;
      const isChecked = checkBody(call, (body) => {
        if (digest === undefined ? body.length > 0 : !isDigestOf(digest, body)) {
          throw invalid("the body is not the one that was signed");
        }
      });
      if (!isChecked && streams === "deny") throw invalid("streams cannot be signed here");
    },
  };
}

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
