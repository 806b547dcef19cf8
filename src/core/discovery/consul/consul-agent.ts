import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { SetupError } from "../../errors/setup-error.ts";
import { systemClock, type Clock } from "../../time/clock.ts";

/** How a Consul agent is reached. */
export interface ConsulOptions {
  /** Base URL of its HTTP API. Default: `discovery.consul` of the configuration, `CONSUL_HTTP_ADDR`, else `http://127.0.0.1:8500`. */
  readonly url?: string;
  /** ACL token. Default: `CONSUL_HTTP_TOKEN`, else none. */
  readonly token?: string;
  /** File of the ACL token, read for every request. Default: `CONSUL_HTTP_TOKEN_FILE`, else none. */
  readonly tokenFile?: string;
  /** Certificates of an agent by HTTPS. Default: the authorities of `CONSUL_CACERT`, else those of Node. */
  readonly tls?: {
    /** Certificates of the authorities to trust, PEM. */
    readonly ca?: string | Uint8Array;
    /** The client's own certificate chain, PEM; needs `key`. */
    readonly cert?: string | Uint8Array;
    /** Private key of `cert`, PEM. */
    readonly key?: string | Uint8Array;
  };
}

let programAgent: ConsulOptions | undefined;

/** The agent of everything in this process that names none; undefined for that of the environment. */
export function useConsulAgent(options: ConsulOptions | undefined): void {
  programAgent = options;
}

/** A request to an agent. */
export interface AgentRequest {
  readonly method: "GET" | "PUT";
  /** Path and query below the base URL. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** After this time, in milliseconds, the request is given up. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What an agent answered. */
export interface AgentReply {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
}

/** The HTTP API of one Consul agent. */
export class ConsulAgent {
  readonly #base: URL;
  readonly #options: ConsulOptions;
  readonly #clock: Clock;

  /** @throws SetupError if the URL is none */
  constructor(given: ConsulOptions = {}, clock: Clock = systemClock) {
    const { url, token, tokenFile, tls } = given;
    // A token is for its agent alone.
    const isOwn = [url, token, tokenFile, tls].some((option) => option !== undefined);
    const options = isOwn ? given : (programAgent ?? {});
    this.#options = options;
    this.#clock = clock;
    this.#base = baseUrl(options.url ?? process.env["CONSUL_HTTP_ADDR"] ?? "http://127.0.0.1:8500");
  }

  /** Sends a request. @throws Error if there is no answer in time */
  async send(request: AgentRequest): Promise<AgentReply> {
    const token = await this.#token();
    const tls = await this.#tls();
    const given = new AbortController();
    const cancel = this.#clock.after(
      request.timeoutMs,
      () => given.abort(new Error(`no answer within ${request.timeoutMs} ms`)),
      false,
    );
    const abort = (): void => given.abort(request.signal?.reason);
    request.signal?.addEventListener("abort", abort);
    try {
      request.signal?.throwIfAborted();
      const headers: Record<string, string> = token === undefined ? {} : { "x-consul-token": token };
      return await exchange(this.#base, request, { headers, ...tls, signal: given.signal });
    } catch (error) {
      // Node hides the reason of the signal in the cause of an AbortError.
      throw given.signal.aborted ? given.signal.reason : error;
    } finally {
      cancel();
      request.signal?.removeEventListener("abort", abort);
    }
  }

  async #token(): Promise<string | undefined> {
    const { token, tokenFile } = this.#options;
    if (token !== undefined) return token;
    const file = tokenFile ?? process.env["CONSUL_HTTP_TOKEN_FILE"];
    if (tokenFile !== undefined || process.env["CONSUL_HTTP_TOKEN"] === undefined) {
      return file === undefined ? undefined : (await readFile(file, "utf8")).trim();
    }
    return process.env["CONSUL_HTTP_TOKEN"];
  }

  async #tls(): Promise<object> {
    if (this.#base.protocol !== "https:") return {};
    const { tls } = this.#options;
    if (tls !== undefined) return tls;
    const file = process.env["CONSUL_CACERT"];
    return file === undefined ? {} : { ca: await readFile(file) };
  }
}

function baseUrl(text: string): URL {
  // The variable of Consul's own tools may be without a scheme.
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new SetupError(
    `the URL of a Consul agent must be http://HOST:PORT or https://HOST:PORT, not "${text}"`,
  );
}

/** `fetch` takes no certificates of authorities, and ends requests that wait as long as blocking queries do. */
async function exchange(base: URL, { method, path, body }: AgentRequest, more: object): Promise<AgentReply> {
  const { request } =
    base.protocol === "https:"
      ? process.getBuiltinModule("node:https")
      : process.getBuiltinModule("node:http");
  const prefix = base.pathname.replace(/\/$/, "");
  const url = new URL(prefix + path, base);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(url, { method, ...more }, resolve).once("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer); // Without an encoding they are Buffers.
  return {
    status: response.statusCode ?? 0,
    header: (name) => {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    text: Buffer.concat(parts).toString("utf8"),
  };
}
