import { envelopeType, isEnvelopeType } from "../../call/call-envelope.ts";
import { keyOf, type EnvelopeKeyInput } from "./envelope-keys.ts";
import { envelopeOpener, envelopeSealer, type EnvelopeSealerOptions } from "./envelope-sides.ts";
import { SetupError } from "../../errors/setup-error.ts";

/** Options of `envelopeFetch`. */
export interface EnvelopeFetchOptions extends EnvelopeSealerOptions {
  /**
   * The private key that opens replies, with a `kid` by which the server finds its public part. Default: replies are not
   * encrypted.
   */
  readonly key?: EnvelopeKeyInput;
  /** What sends requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/**
 * A `fetch` that encrypts JSON bodies of requests and opens those of replies: for `restTransport`, for
 * `createConnectTransport`, and for requests by hand. It rejects with TypeError for a body that is no JSON, and, where
 * replies are to be encrypted, for a successful one that is not.
 *
 * @throws SetupError for keys that cannot be used so; Error if a file cannot be read
 */
export function envelopeFetch(options: EnvelopeFetchOptions): typeof fetch {
  const sealer = envelopeSealer(options);
  const own = options.key === undefined ? undefined : replyKey(options.key);
  return async (input, init) => {
    const send = options.fetch ?? fetch;
    const request = new Request(input, init);
    const headers = new Headers(request.headers);
    if (own !== undefined) headers.set("accept", own.accept);
    let body: string | undefined;
    if (request.body !== null) {
      if (!isJson(headers.get("content-type")))
        throw new TypeError("envelopeFetch: only JSON can be encrypted");
      body = await sealer.seal(new Uint8Array(await request.arrayBuffer()));
      headers.set("content-type", envelopeType);
    }
    const { method, signal, credentials, redirect } = request;
    const response = await send(request.url, {
      method,
      headers,
      body: body ?? null,
      signal,
      credentials,
      redirect,
    });
    return own === undefined ? response : own.opened(response);
  };
}

function replyKey(given: EnvelopeKeyInput) {
  const key = keyOf(given, "enc", "private", "envelopeFetch: key");
  if (key.id === undefined || !/^[\w.~:/@+-]+$/.test(key.id)) {
    throw new SetupError("envelopeFetch: the key needs a kid of letters, digits and -_.~:/@+");
  }
  const opener = envelopeOpener({
    keys: { decryption: new Map([[key.id, key]]), verification: new Map() },
  });
  return {
    accept: `${envelopeType};kid="${key.id}"`,
    async opened(response: Response): Promise<Response> {
      const { status, statusText, headers, ok } = response;
      if (!isEnvelopeType(headers.get("content-type") ?? undefined)) {
        // Errors are readable; a success that is not encrypted is none of the server's that was asked.
        if (!ok || response.body === null) return response;
        await response.body.cancel();
        throw new TypeError("envelopeFetch: the reply is not encrypted");
      }
      const { content } = await opener.open(new Uint8Array(await response.arrayBuffer()));
      const fields = new Headers(headers);
      fields.set("content-type", "application/json");
      fields.delete("content-length");
      return new Response(Buffer.from(content), { status, statusText, headers: fields });
    },
  };
}

function isJson(contentType: string | null): boolean {
  const [type = ""] = (contentType ?? "").split(";", 1);
  return type.trim().toLowerCase() === "application/json";
}
