import type { IncomingMessage } from "node:http";
import { SetupError } from "../errors/setup-error.ts";
import { isLoopback } from "../net/loopback.ts";

/** A request to a server of an issuer. */
export interface HttpAsk {
  readonly url: URL;
  /** Sent by POST as a form; undefined for GET. */
  readonly form?: URLSearchParams | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** After this time, in milliseconds, the request is given up. */
  readonly timeoutMs: number;
  /** A larger answer is given up, in bytes. */
  readonly maxBytes: number;
  /** Certificates of the authorities to trust, PEM. Default: those of Node. */
  readonly ca?: string | Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How many redirects are followed, all to the origin of the first URL. */
const maxRedirects = 3;

/**
 * The JSON object at a URL. A redirect to another origin is not followed: addresses come from the configuration alone.
 *
 * @throws Error that says what is wrong, without anything of the answer
 */
export async function askForJson(ask: HttpAsk): Promise<Readonly<Record<string, unknown>>> {
  const timeout = AbortSignal.timeout(ask.timeoutMs);
  const signal = ask.signal === undefined ? timeout : AbortSignal.any([timeout, ask.signal]);
  try {
    return toObject(await readText(await follow(ask, signal), ask.maxBytes));
  } catch (error) {
    if (timeout.aborted) throw new Error(`no answer within ${ask.timeoutMs} ms`, { cause: error });
    throw error;
  }
}

async function follow(ask: HttpAsk, signal: AbortSignal): Promise<IncomingMessage> {
  let { url } = ask;
  for (let redirects = 0; ; redirects++) {
    const response = await send(url, ask, signal);
    const status = response.statusCode ?? 0;
    if (status === 200) return response;
    response.destroy();
    const target = status >= 300 && status < 400 ? response.headers.location : undefined;
    if (target === undefined || ask.form !== undefined) throw new Error(`the answer has status ${status}`);
    const next = URL.parse(target, url);
    if (next?.origin !== url.origin) throw new Error("the answer is a redirect to another origin");
    if (redirects === maxRedirects) throw new Error("the answer is one redirect too many");
    url = next;
  }
}

function send(url: URL, { form, headers, ca }: HttpAsk, signal: AbortSignal): Promise<IncomingMessage> {
  const { request } =
    url.protocol === "https:"
      ? process.getBuiltinModule("node:https")
      : process.getBuiltinModule("node:http");
  const body = form?.toString();
  const options = {
    method: body === undefined ? "GET" : "POST",
    headers: {
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
      ...headers,
    },
    ...(ca === undefined ? {} : { ca: typeof ca === "string" ? ca : Buffer.from(ca) }),
    signal,
  };
  return new Promise((resolve, reject) => {
    request(url, options, resolve).once("error", reject).end(body);
  });
}

async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function toObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("the answer is not JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>; // As checked.
  throw new Error("the answer is not a JSON object");
}

/**
 * A URL of an issuer's server: by https, or by http to this host.
 *
 * @param owner what has the URL, for errors
 * @throws SetupError for anything else
 */
export function issuerUrl(text: string, owner: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new SetupError(`${owner} must be a URL that begins with https://, not ${JSON.stringify(text)}`);
  }
  if (url.protocol === "https:" || isLoopback(url.hostname)) return url;
  throw new SetupError(`${owner} must begin with https://: what comes over http can be changed on its way`);
}
