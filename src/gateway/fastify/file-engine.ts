import type { IncomingHttpHeaders } from "node:http";
import { isAbsolute, join, relative, sep } from "node:path";
import { realpath } from "node:fs/promises";
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { loadPeer } from "../../core/config/optional-peer.ts";
import { makeFastify } from "./make-fastify.ts";

/** A file that is asked for. */
export interface FileRequest {
  /** `GET` or `HEAD`. */
  readonly method: string;
  /** Of these, only conditions, ranges and accepted codings are looked at. */
  readonly headers: IncomingHttpHeaders;
  /** The folder, without links in its path. */
  readonly root: string;
  /** Path below the folder, decoded; begins with `/`. */
  readonly path: string;
  /** Whether a file may be sent, by its path without links. */
  readonly isAllowed: (realPath: string) => boolean;
}

/** What there is at a path. */
export type FileResult =
  | {
      readonly kind: "file";
      readonly status: number;
      readonly headers: ReturnType<FastifyReply["getHeaders"]>;
      readonly body: Readable | undefined;
    }
  /** A folder with an index, whose path must end with `/`. */
  | { readonly kind: "folder" }
  | { readonly kind: "missing" }
  /** A link that leads where no file may be sent from. */
  | { readonly kind: "hidden" };

/** The headers of a request by which its answer is chosen. */
const choosing = [
  "accept-encoding",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
] as const;

/** Why the plugin must not send a file. */
class NotSent extends Error {
  readonly result: FileResult;

  constructor(result: FileResult) {
    super("the file is not sent");
    this.result = result;
  }
}

/** An error of the plugin. */
interface SendFailure extends Error {
  readonly statusCode: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Job {
  readonly request: FileRequest;
  result: FileResult;
}

/**
 * Opens files by `@fastify/static` on a Fastify of its own, which never listens: conditions, ranges, media types, and the
 * precompressed file beside. On the gateway's Fastify the plugin would have a route with a pattern, so that every call of
 * an rpc had to pass through Fastify.
 */
export class FileEngine {
  readonly #engine: FastifyInstance;
  readonly #jobs = new Map<string, Job>();
  #last = 0;

  private constructor(engine: FastifyInstance) {
    this.#engine = engine;
  }

  /** @param anyFolder one that exists. @throws SetupError without the package `@fastify/static` */
  static async open(anyFolder: string): Promise<FileEngine> {
    const { default: plugin } = await loadPeer(
      "@fastify/static",
      "pages.static",
      () => import("@fastify/static"),
    );
    const engine = makeFastify({ exposeHeadRoutes: false });
    const made = new FileEngine(engine);
    void engine.register(plugin, {
      root: anyFolder,
      serve: false,
      cacheControl: false,
      dotfiles: "ignore",
      preCompressed: true,
    });
    engine.route({
      method: ["GET", "HEAD"],
      url: "/:job",
      handler: (request, reply) => {
        const job = made.#jobs.get((request.params as { job: string }).job); // As the route says.
        return job === undefined ? reply.callNotFound() : made.#send(job, reply);
      },
    });
    engine.addHook("onSend", async (request, reply, payload) => made.#take(request.url, reply, payload));
    engine.setNotFoundHandler((_, reply) => reply.code(404).send());
    engine.setErrorHandler((error: unknown, request, reply) => made.#fail(request.url, error, reply));
    await engine.ready();
    return made;
  }

  /** Opens a file. The caller must read its body, or destroy it. @throws Error where it cannot be read */
  async get(request: FileRequest): Promise<FileResult> {
    const { method, headers } = request;
    const slot = String((this.#last = (this.#last + 1) % Number.MAX_SAFE_INTEGER));
    const job: Job = { request, result: { kind: "missing" } };
    this.#jobs.set(slot, job);
    const sent: Record<string, string> = {};
    for (const name of choosing) {
      const value = headers[name];
      if (typeof value === "string") sent[name] = value;
    }
    try {
      const { statusCode, payload } = await this.#engine.inject({
        method: method === "HEAD" ? "HEAD" : "GET",
        url: `/${slot}`,
        headers: sent,
      });
      if (statusCode >= 500) throw new Error(`the file cannot be read: ${payload}`);
      return job.result;
    } finally {
      this.#jobs.delete(slot);
    }
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  #send({ request: { root, path, isAllowed } }: Job, reply: FastifyReply): FastifyReply {
    const asked = join(root, path);
    const onFile = async (found: string): Promise<void> => {
      if (!path.endsWith("/") && found.startsWith(asked + sep)) throw new NotSent({ kind: "folder" });
      const real = await realpath(found);
      if (!isWithin(root, real) || !isAllowed(real)) throw new NotSent({ kind: "hidden" });
    };
    return reply.sendFile(path, root, { onFile });
  }

  #fail(url: string, error: unknown, reply: FastifyReply): FastifyReply {
    const job = this.#jobs.get(url.slice(1));
    if (error instanceof NotSent) {
      if (job !== undefined) job.result = error.result;
      return reply.code(404).send();
    }
    const { statusCode, code, headers, message } = error as Partial<SendFailure>; // Anything may be thrown.
    if (code === "ENOENT" || code === "ENOTDIR") return reply.code(404).send(); // It has gone meanwhile.
    if (statusCode !== 412 && statusCode !== 416) return reply.code(500).send(message);
    return reply
      .code(statusCode)
      .headers(headers ?? {})
      .send();
  }

  /** Takes the body of an answer; the engine's own answer has none. */
  #take(url: string, reply: FastifyReply, payload: unknown): unknown {
    const job = this.#jobs.get(url.slice(1));
    if (job === undefined) return payload;
    const { statusCode: status } = reply;
    const isFile = status === 200 || status === 206 || status === 304 || status === 412 || status === 416;
    if (!isFile) return payload;
    const hasBody = (status === 200 || status === 206) && job.request.method !== "HEAD";
    const body = hasBody && payload instanceof Readable ? payload : undefined;
    if (body === undefined && payload instanceof Readable) payload.destroy();
    job.result = { kind: "file", status, headers: reply.getHeaders(), body };
    reply.removeHeader("content-length");
    return null;
  }
}

/** Whether a path is that of a folder, or below it. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
