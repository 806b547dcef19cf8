/** `ts-ms/signatures`: signed messages (RFC 9421). Needs the package `http-message-sig`. */

export { signatureGate, type SignatureGateOptions } from "../core/security/signatures/signature-gate.ts";
export {
  requestSigner,
  responseSigner,
  type SignedResponse,
  type SignerOptions,
} from "../core/security/signatures/request-signer.ts";
export { readSignatureKeys, type SignatureKey } from "../core/security/signatures/signature-keys.ts";
export type { SignatureAlgorithm } from "../core/security/signatures/algorithms.ts";
export { LocalReplayStore, RedisReplayStore, type ReplayStore } from "../core/security/replay.ts";
export type { RequestSigner, SignedRequest } from "../core/metadata/request-signer.ts";
