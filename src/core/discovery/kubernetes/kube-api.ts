import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { SetupError } from "../../errors/setup-error.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import type { ResolverParts } from "../polling.ts";

/** How the API server of Kubernetes is reached. In a pod all of it has defaults. */
export interface KubernetesOptions {
  /**
   * Base URL of the API server, such as `https://10.0.0.1:6443`, or `http://127.0.0.1:8001` of `kubectl proxy`. Default:
   * that of the cluster of this pod, with the pod's own token and certificates.
   */
  readonly server?: string;
  /** Bearer token. Default: none beside `server`. */
  readonly token?: string;
  /** File of the bearer token, read for every request. Default: that of the pod; none beside `server`. */
  readonly tokenFile?: string;
  /** Certificates of the authorities to trust, PEM. Default: those of Node beside `server`. */
  readonly ca?: string | Uint8Array;
  /** File of these certificates, read for every request. Default: that of the pod; none beside `server`. */
  readonly caFile?: string;
  /** Namespace of services whose targets have none. Default: that of the pod, else `default`. */
  readonly namespace?: string;
}

/** Time, chance and the files of a pod, of which tests have their own. */
export interface KubernetesParts extends ResolverParts {
  /** Folder of `token`, `ca.crt` and `namespace`. */
  readonly podFolder?: string;
}

/** A request to the API server. */
export interface KubeRequest {
  /** Path and query below the base URL. */
  readonly path: string;
  /** After this time, in milliseconds, without a response's head the request is given up. */
  readonly timeoutMs: number;
  /** Whether the process stays alive for it. */
  readonly keepsProcess: boolean;
  readonly signal: AbortSignal;
}

const podFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The API server of one cluster. */
export class KubeApi {
  /** Of services whose targets have none. */
  readonly namespace: string;
  readonly #base: URL;
  readonly #options: KubernetesOptions;
  readonly #clock: Clock;

  /** @throws SetupError if the URL is none, or if there is none and this process runs in no pod */
  constructor(options: KubernetesOptions = {}, parts: KubernetesParts = {}) {
    const folder = parts.podFolder ?? podFolder;
    this.#clock = parts.clock ?? systemClock;
    this.namespace = options.namespace ?? namespaceOf(folder) ?? "default";
    if (options.server !== undefined) {
      this.#base = baseUrl(options.server);
      this.#options = options;
      return;
    }
    const host = process.env["KUBERNETES_SERVICE_HOST"];
    if (host === undefined || host === "") {
      throw new SetupError("this process runs in no pod of Kubernetes: give the option server");
    }
    const port = process.env["KUBERNETES_SERVICE_PORT"] ?? "443";
    this.#base = baseUrl(`https://${host.includes(":") ? `[${host}]` : host}:${port}`);
    this.#options = {
      ...(options.token === undefined ? { tokenFile: join(folder, "token") } : {}),
      ...(options.ca === undefined ? { caFile: join(folder, "ca.crt") } : {}),
      ...options,
    };
  }

  /**
   * Sends a GET. The response ends with an error when the signal fires.
   *
   * @throws Error if there is no response in time
   */
  async open({ path, timeoutMs, keepsProcess, signal }: KubeRequest): Promise<IncomingMessage> {
    const options = {
      // A connection for each request: it has the certificates of now, and no proxy has closed it meanwhile.
      agent: false as const,
      headers: { accept: "application/json", ...(await this.#authorization()) },
      ...(await this.#authorities()),
      signal,
    };
    signal.throwIfAborted();
    const { request } =
      this.#base.protocol === "https:"
        ? process.getBuiltinModule("node:https")
        : process.getBuiltinModule("node:http");
    const url = new URL(this.#base.pathname.replace(/\/$/, "") + path, this.#base);
    return new Promise((resolve, reject) => {
      const sent = request(url, options, (response) => {
        cancel();
        resolve(response);
      });
      const cancel = this.#clock.after(
        timeoutMs,
        () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        false,
      );
      if (!keepsProcess) sent.once("socket", (socket) => socket.unref());
      sent.once("error", (error) => {
        cancel();
        reject(error);
      });
      sent.end();
    });
  }

  async #authorization(): Promise<Record<string, string>> {
    const { token, tokenFile } = this.#options;
    const text = token ?? (tokenFile === undefined ? "" : (await readFile(tokenFile, "utf8")).trim());
    return text === "" ? {} : { authorization: `Bearer ${text}` };
  }

  async #authorities(): Promise<{ ca?: string | Buffer }> {
    if (this.#base.protocol !== "https:") return {};
    const { ca, caFile } = this.#options;
    if (ca !== undefined) return { ca: typeof ca === "string" ? ca : Buffer.from(ca) };
    return caFile === undefined ? {} : { ca: await readFile(caFile) };
  }
}

function namespaceOf(folder: string): string | undefined {
  try {
    const text = readFileSync(join(folder, "namespace"), "utf8").trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}

function baseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new SetupError(
    `the API server of Kubernetes must be http://HOST:PORT or https://HOST:PORT, not "${text}"`,
  );
}
