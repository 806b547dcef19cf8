import type { HandlerContext } from "@connectrpc/connect";
import type { HeadOfCall } from "./body-check.ts";

/** How the JSON bodies of one unary call are encrypted, as a gate has found by its head. */
export interface CallEnvelope {
  /**
   * Opens the body of the request, as it came over the wire; resolves with the JSON in it. Undefined for a body that is
   * not encrypted. Rejects with the error by which the call is refused.
   */
  readonly open: ((body: Uint8Array) => Promise<Buffer>) | undefined;
  /** Encrypts the JSON of the reply; undefined for a reply that stays as it is. */
  readonly seal: ((reply: string | Uint8Array) => Promise<string>) | undefined;
}

/** The media type of encrypted bodies: JOSE in its compact form (RFC 7515, section 9.2.1). */
export const envelopeType = "application/jose";

/** Whether a `Content-Type` is that of encrypted bodies. */
export function isEnvelopeType(contentType: string | undefined): boolean {
  if (contentType === undefined) return false;
  const [type = ""] = contentType.split(";", 1);
  return type.trim().toLowerCase() === envelopeType;
}

/** The doors that have JSON bodies in one piece. */
const doors: ReadonlySet<string> = new Set(["rest", "connect"]);

/** Whether the bodies of a call may be encrypted: it is unary, at a door with JSON bodies. */
export function mayHaveEnvelope({ door, method }: HeadOfCall): boolean {
  return doors.has(door) && method.methodKind === "unary";
}

/**
 * Lets the door of a call, for which `mayHaveEnvelope` holds, open and encrypt its bodies. Doors refuse the call where
 * its bodies are no JSON, as in files.
 */
export function useEnvelope({ context }: HeadOfCall, envelope: CallEnvelope): void {
  const call = context as HandlerContext & { envelope: CallEnvelope | undefined }; // Contexts that gates see are ours.
  call.envelope = envelope;
}
