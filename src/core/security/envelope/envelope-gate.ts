import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  type ConnectError,
  type ContextKey,
  createContextKey,
  type HandlerContext,
} from "@connectrpc/connect";
import type { CallHead } from "../../admission/call-head.ts";
import type { Gate } from "../../admission/gate.ts";
import { refusal } from "../../admission/refusal.ts";
import {
  type CallEnvelope,
  envelopeType,
  isEnvelopeType,
  mayHaveEnvelope,
  useEnvelope,
} from "../../call/call-envelope.ts";
import { rpcName } from "../../call/service.ts";
import { loadJose } from "../jose.ts";
import { Selector } from "../../policy/selector.ts";
import { EnvelopeError } from "./envelope-error.ts";
import type { EnvelopeKey, EnvelopeKeys } from "./envelope-keys.ts";
import { openEnvelope } from "./open-envelope.ts";
import { acceptedEnvelope, type AcceptedEnvelope } from "./accepted-envelope.ts";
import { sealEnvelope } from "./seal-envelope.ts";

/** Options of `envelopeGate`. */
export interface EnvelopeGateOptions {
  /** The keys that open requests, verify their contents, and for which replies are encrypted; read for each call. */
  readonly keys: () => EnvelopeKeys;
  /** The rpcs whose bodies must be encrypted: `package.Service/Method`, `package.Service/*`, `package.*`. Default: none must. */
  readonly rpc?: readonly string[];
  /**
   * The public key for which replies are encrypted where `Accept` asks for it, whichever key that names; read for each
   * call. Default: the key that `Accept` names.
   */
  readonly encryptTo?: () => EnvelopeKey | undefined;
}

const signerKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "who has signed the content of the envelope",
});

/**
 * The id of the key that has signed the content of an encrypted request; undefined where it is not signed. It says who
 * has made the content, not who sends it, nor when: it is not the principal.
 */
export function envelopeSigner({ values }: Pick<HandlerContext, "values">): string | undefined {
  return values.get(signerKey);
}

/**
 * A gate by which bodies of REST and of unary calls of Connect may be encrypted: `application/jose`, a JWE of JSON, or of
 * a JWS of JSON. `Accept: application/jose` encrypts the reply. Plain bodies for the rpcs of `rpc` are refused with 415,
 * and so are their calls by other protocols.
 */
export function envelopeGate(options: EnvelopeGateOptions): Gate {
  const selectors = (options.rpc ?? []).map((text) => new Selector(text));
  const due = new Map<DescMethod, boolean>();
  const isDue = (method: DescMethod): boolean => {
    let is = due.get(method);
    if (is === undefined) due.set(method, (is = selectors.some((selector) => selector.matches(method))));
    return is;
  };
  return {
    name: "envelope",
    ready: async () => void (await loadJose()),
    admit(call) {
      if (call.door === "in-process") return;
      const isSealed = isEnvelopeType(call.header("content-type")) && hasBody(call);
      const accepted = acceptedEnvelope(call.header("accept"));
      if (isDue(call.method)) checkDue(call, isSealed);
      if (isSealed) checkSealed(call, options.keys());
      else if (accepted === undefined || !mayHaveEnvelope(call)) return;
      useEnvelope(call, envelopeOf(call, isSealed, accepted, options));
    },
  };
}

function envelopeOf(
  { context }: CallHead,
  isSealed: boolean,
  accepted: AcceptedEnvelope | undefined,
  { keys, encryptTo }: EnvelopeGateOptions,
): CallEnvelope {
  const known = keys();
  const open: CallEnvelope["open"] = async (body) => {
    try {
      const { content, signer } = await openEnvelope(body, known);
      context.values.set(signerKey, signer);
      return Buffer.from(content.buffer, content.byteOffset, content.length);
    } catch (reason) {
      throw reason instanceof EnvelopeError ? notOpened(reason) : reason;
    }
  };
  const to = accepted && recipientOf(accepted, known, encryptTo?.());
  const seal: CallEnvelope["seal"] = to && ((reply) => sealEnvelope(reply, { to }));
  return { open: isSealed ? open : undefined, seal };
}

function recipientOf(
  { kid }: AcceptedEnvelope,
  { recipients }: EnvelopeKeys,
  always: EnvelopeKey | undefined,
): EnvelopeKey {
  const to = always ?? (kid === undefined ? undefined : recipients.get(kid));
  if (to !== undefined) return to;
  const problem = kid === undefined ? "no key is named" : `the key ${JSON.stringify(kid)} is not known`;
  throw refusal({
    kind: "malformed",
    code: Code.InvalidArgument,
    httpStatus: 406,
    reason: "ENVELOPE_KEY_UNKNOWN",
    message: `the reply cannot be encrypted: ${problem}; ask with Accept: ${envelopeType};kid="…" for one of the known keys`,
  });
}

/** @throws ConnectError for a call of an rpc whose bodies must be encrypted, which has a plain message */
function checkDue(call: CallHead, isSealed: boolean): void {
  const name = rpcName(call.method);
  if (!mayHaveEnvelope(call)) {
    throw unsupported(`${name} takes encrypted JSON, which only REST and unary calls of Connect can carry`);
  }
  const isConnectGet = call.door === "connect" && call.httpMethod === "GET";
  if (isConnectGet || (!isSealed && hasBody(call))) {
    throw unsupported(`the body for ${name} must be encrypted: send ${envelopeType}`);
  }
}

/** @throws ConnectError for an encrypted body that cannot be opened here */
function checkSealed(call: CallHead, { decryption }: EnvelopeKeys): void {
  if (!mayHaveEnvelope(call)) {
    throw unsupported(`${envelopeType} is for the JSON of REST and of unary calls of Connect only`);
  }
  const coding = call.header("content-encoding");
  if (coding !== undefined && coding.toLowerCase() !== "identity") {
    throw unsupported("encrypted bodies must not be compressed: leave content-encoding out");
  }
  if (decryption.size === 0) throw unsupported(`there is no key here that opens ${envelopeType}`);
}

function hasBody(call: CallHead): boolean {
  return (call.bodyBytes ?? 0) > 0 || call.header("transfer-encoding") !== undefined;
}

function unsupported(message: string): ConnectError {
  return refusal({
    kind: "malformed",
    code: Code.InvalidArgument,
    httpStatus: 415,
    reason: "ENVELOPE_REQUIRED",
    message,
  });
}

function notOpened({ problem, message }: EnvelopeError): ConnectError {
  if (problem === "signature") {
    return refusal({ kind: "signature", code: Code.Unauthenticated, reason: "SIGNATURE_INVALID", message });
  }
  return refusal({ kind: "malformed", code: Code.InvalidArgument, reason: "ENVELOPE_INVALID", message });
}
