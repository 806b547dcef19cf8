import type { DescMessage, Registry } from "@bufbuild/protobuf";
import { type JsonWriter, jsonWriter } from "../core/codec/message-to-json.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import type { DispatchedEvent } from "./dispatched-event.ts";
import { NotPublic } from "./public-address.ts";
import { attributeHeaders } from "./rpc-target.ts";
import { tookTooLong } from "./run-end.ts";
import type { WebhookSigner } from "./signature.ts";
import type { Attempt, AttemptEnd, Target } from "./target.ts";
import type { WebhookClient, WebhookReply } from "./webhook-request.ts";

/** What webhooks of all subscriptions have in common. */
export interface WebhookParts {
  readonly client: WebhookClient;
  readonly registry: Registry;
  readonly maxPayloadBytes: number;
  readonly timeoutMs: number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

/** Where a webhook goes. */
export interface WebhookPlace {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The longest wait that a receiver can ask for, in milliseconds. */
const longestRetryAfterMs = 86_400_000;
const headerName = /^[\w!#$%&'*+.^`|~-]+$/;
const kept =
  /^(?:host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|content-.*|webhook-.*|ce-.*)$/i;
/** Names by which Node refuses a certificate: those of OpenSSL, and its own for names that differ. */
const certificateCode =
  /CERT|^(?:UNABLE_TO_(?:GET|DECRYPT|DECODE|VERIFY)|CRL_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH)/;
const mostHeaders = 32;
const mostHeaderBytes = 8_192;

/** @throws ConnectError INVALID_ARGUMENT naming a header that a webhook cannot have */
export function checkWebhookHeaders(headers: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    bytes += name.length + value.length;
    const path = `subscription.webhook.headers.${name}`;
    const problem = !headerName.test(name)
      ? "is no name of a header"
      : kept.test(name)
        ? "belongs to the request, its body, its signature or the event"
        : /^[\x20-\x7e]*$/.test(value)
          ? undefined
          : "has a value with other characters than printable ASCII";
    if (problem !== undefined)
      throw invalidArgument(`${path} ${problem}`, [{ field: path, description: problem }]);
  }
  if (Object.keys(headers).length > mostHeaders || bytes > mostHeaderBytes)
    throw invalidArgument(`subscription.webhook.headers: ${mostHeaders} of them, ${mostHeaderBytes} bytes`);
}

/** Posts events to a URL, signed by Standard Webhooks. */
export class WebhookTarget implements Target {
  readonly kind = "webhook";
  readonly #place: WebhookPlace;
  readonly #signer: WebhookSigner;
  readonly #parts: WebhookParts;

  constructor(place: WebhookPlace, signer: WebhookSigner, parts: WebhookParts) {
    this.#place = place;
    this.#signer = signer;
    this.#parts = parts;
  }

  async deliver(event: DispatchedEvent, { deliveryId, signal }: Attempt): Promise<AttemptEnd> {
    const { client, registry, maxPayloadBytes, timeoutMs, wallMs } = this.#parts;
    const body = writerOf(event.type.schema, registry).writeBytes(event.message);
    if (body.length > maxPayloadBytes) {
      const text = `the event has ${body.length} bytes as JSON: webhooks.maxPayloadBytes is ${maxPayloadBytes}`;
      return { kind: "dead", reason: "too-large", error: new ConnectError(text, Code.ResourceExhausted) };
    }
    const headers = {
      "user-agent": "ts-ms",
      ...this.#place.headers,
      ...Object.fromEntries(attributeHeaders(event)),
      "content-type": "application/json",
      ...this.#signer.headersOf(deliveryId, body, wallMs()),
    };
    try {
      const { url } = this.#place;
      const reply = await client.send({ method: "POST", url, headers, body, signal });
      return endOfReply(reply, wallMs());
    } catch (reason) {
      return { kind: "retry", error: failure(reason, timeoutMs) };
    }
  }

  close(): void {}
}

/**
 * Asks a receiver whether it takes events, as CloudEvents has it for webhooks.
 *
 * @throws ConnectError FAILED_PRECONDITION if it does not say so
 */
export async function askReceiver(
  client: WebhookClient,
  { url, headers }: WebhookPlace,
  origin: string,
  signal: AbortSignal,
): Promise<void> {
  let reply: WebhookReply;
  try {
    const asked = { ...headers, "webhook-request-origin": origin };
    reply = await client.send({ method: "OPTIONS", url, headers: asked, body: undefined, signal });
  } catch (reason) {
    throw refused(`it cannot be asked: ${failure(reason, 0).rawMessage}`);
  }
  const allowed = String(reply.headers["webhook-allowed-origin"] ?? "");
  const isAllowed = allowed.split(",").some((each) => each.trim() === "*" || each.trim() === origin);
  if (reply.status >= 200 && reply.status < 300 && isAllowed) return;
  throw refused(`it answered OPTIONS with ${reply.status}, and no WebHook-Allowed-Origin of ${origin}`);
}

function refused(why: string): ConnectError {
  return new ConnectError(
    `the receiver of the webhook does not take events: ${why}`,
    Code.FailedPrecondition,
  );
}

function endOfReply({ status, headers }: WebhookReply, nowMs: number): AttemptEnd {
  if (status >= 200 && status < 300) return { kind: "done", httpStatus: status };
  const error = new ConnectError(`the receiver answered with ${status}`, Code.Unavailable);
  if (status === 410) return { kind: "gone", error, httpStatus: status };
  const asked = status === 429 || status === 503 ? retryAfterOf(headers["retry-after"], nowMs) : undefined;
  return { kind: "retry", error, afterMs: asked, httpStatus: status };
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfterOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), longestRetryAfterMs);
}

/** What a request without an answer failed of, without what its target says of itself. */
function failure(reason: unknown, timeoutMs: number): ConnectError {
  if (reason instanceof ConnectError)
    return reason.code === Code.DeadlineExceeded && timeoutMs > 0 ? tookTooLong(timeoutMs) : reason;
  if (reason instanceof NotPublic) return new ConnectError(reason.message, Code.Unavailable);
  const code = typeof reason === "object" && reason !== null && "code" in reason ? String(reason.code) : "";
  const what = certificateCode.test(code)
    ? "the certificate of the receiver is not trusted"
    : "the receiver cannot be reached";
  return new ConnectError(`${what}${code && ` (${code})`}`, Code.Unavailable);
}

const writers = new WeakMap<DescMessage, JsonWriter>();

function writerOf(schema: DescMessage, registry: Registry): JsonWriter {
  let writer = writers.get(schema);
  if (writer === undefined) {
    writer = jsonWriter(schema, { registry });
    writers.set(schema, writer);
  }
  return writer;
}
