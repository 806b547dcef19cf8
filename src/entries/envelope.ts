/** `ts-ms/envelope`: encrypted JSON bodies (JWE). Needs the package `jose`. */

export {
  envelopeGate,
  envelopeSigner,
  type EnvelopeGateOptions,
} from "../core/security/envelope/envelope-gate.ts";
export {
  readEnvelopeKeys,
  readRecipient,
  type EnvelopeAlgorithm,
  type EnvelopeKey,
  type EnvelopeKeyInput,
  type EnvelopeKeys,
} from "../core/security/envelope/envelope-keys.ts";
export {
  envelopeOpener,
  envelopeSealer,
  type EnvelopeOpener,
  type EnvelopeOpenerOptions,
  type EnvelopeSealer,
  type EnvelopeSealerOptions,
} from "../core/security/envelope/envelope-sides.ts";
export { EnvelopeError, type EnvelopeProblem } from "../core/security/envelope/envelope-error.ts";
export type { OpenedEnvelope, OpeningKeys } from "../core/security/envelope/open-envelope.ts";
export { envelopeFetch, type EnvelopeFetchOptions } from "../core/security/envelope/envelope-fetch.ts";
