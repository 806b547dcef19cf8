import type { ConnectError } from "../../core/errors/errors.ts";
import { type Live, LiveSet } from "../../core/call/live-set.ts";
import { bodyArrived } from "../../core/call/body-check.ts";
import { bodyCoding, brokenBody } from "./body-coding.ts";
import { incompleteRequest } from "./disconnect-error.ts";
import type { BodySink, HttpExchange, RequestHead } from "./exchange.ts";
import { HttpError } from "./http-error.ts";

/** Limits of request bodies. */
export interface BodyLimits {
  /** The most bytes of a body, before and after decompression. */
  readonly maxBodyBytes: number;
  /** How long a whole body may take, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** How often `bodyTimeoutMs` is checked, in milliseconds. */
  readonly connectionsCheckingIntervalMs: number;
}

/** Whether a request has a body, by its `Content-Length` or `Transfer-Encoding`. */
export function hasBody({ headers }: Pick<RequestHead, "headers">): boolean {
  const length = headers["content-length"];
  return (length !== undefined && length !== "0") || headers["transfer-encoding"] !== undefined;
}

/**
 * Reads whole bodies of requests. One interval checks the time of all of them: a timer for each would cost more than
 * reading most bodies.
 */
export class BodyReader {
  readonly #limits: BodyLimits;
  readonly #pending = new LiveSet<PendingBody>();
  #clock: NodeJS.Timeout | undefined;
  #ticks = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /**
   * Reads a whole body and decodes its `Content-Encoding`.
   *
   * @param maxBytes the most bytes of this body. Default: `maxBodyBytes` of the limits
   * @throws HttpError 413 when it is too large (an announced length at once, without reading), 408 when it does not
   * arrive in time, 415 for an unknown encoding; ConnectError INVALID_ARGUMENT when the compressed bytes are broken,
   * CANCELLED when the client disconnects
   */
  read(exchange: HttpExchange, maxBytes: number = this.#limits.maxBodyBytes): Promise<Buffer> {
    const isPlain = exchange.head.headers["content-encoding"] === undefined;
    if (isPlain && exchange.call?.bodyCheck === undefined) return this.#bytes(exchange, maxBytes);
    return this.#decoded(exchange, maxBytes);
  }

  async #decoded(exchange: HttpExchange, maxBytes: number): Promise<Buffer> {
    const coding = bodyCoding(exchange.head);
    const bytes = await this.#bytes(exchange, maxBytes);
    if (exchange.call?.bodyCheck !== undefined) await bodyArrived(exchange.call, bytes);
    try {
      return coding === undefined ? bytes : await coding.decompress(bytes, maxBytes);
    } catch (reason) {
      throw reason instanceof RangeError ? tooLarge(maxBytes) : brokenBody();
    }
  }

  #bytes(exchange: HttpExchange, maxBytes: number): Promise<Buffer> {
    const { head, wholeBody } = exchange;
    if (Number(head.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
    if (wholeBody !== undefined) return Promise.resolve(wholeBody);
    if (head.headers.expect !== undefined) exchange.continueBody();
    return new Promise((resolve, reject) => {
      const body = new PendingBody(maxBytes, this.#ticks, (outcome) => {
        this.#pending.delete(body);
        if (head.record !== undefined) head.record.bytesIn += body.size;
        if (Buffer.isBuffer(outcome)) resolve(outcome);
        else reject(outcome);
      });
      this.#pending.add(body);
      this.#clock ??= setInterval(() => this.#tick(), this.#limits.connectionsCheckingIntervalMs).unref();
      if (exchange.gatherBody !== undefined) {
        exchange.gatherBody(body);
        return;
      }
      const request = exchange.body;
      request.on("data", (chunk: Buffer) => body.add(chunk));
      request.on("end", () => body.end());
      request.on("close", () => {
        if (body.isPending) body.fail(incompleteRequest());
      });
    });
  }

  #tick(): void {
    const { bodyTimeoutMs, connectionsCheckingIntervalMs } = this.#limits;
    this.#ticks++;
    const oldest = this.#ticks - bodyTimeoutMs / connectionsCheckingIntervalMs;
    for (const body of this.#pending) if (body.startTick < oldest) body.fail(tooSlow(bodyTimeoutMs));
    if (this.#pending.size > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }
}

/** A body that is being read. Bytes after its end or failure are discarded. */
class PendingBody implements Live, BodySink {
  livePlace = -1;
  /** The tick of the reader's interval at which reading began. */
  readonly startTick: number;
  readonly #maxBytes: number;
  #settle: ((outcome: Buffer | ConnectError) => void) | undefined;
  #first: Buffer | undefined;
  #more: Buffer[] | undefined;
  #size = 0;

  constructor(maxBytes: number, startTick: number, settle: (outcome: Buffer | ConnectError) => void) {
    this.#maxBytes = maxBytes;
    this.startTick = startTick;
    this.#settle = settle;
  }

  /** Bytes that have come. */
  get size(): number {
    return this.#size;
  }

  get isPending(): boolean {
    return this.#settle !== undefined;
  }

  add(chunk: Buffer): void {
    if (this.#settle === undefined) return;
    this.#size += chunk.length;
    if (this.#size > this.#maxBytes) this.fail(tooLarge(this.#maxBytes));
    else if (this.#first === undefined) this.#first = chunk;
    else (this.#more ??= [this.#first]).push(chunk);
  }

  end(): void {
    this.#finish(this.#more === undefined ? (this.#first ?? empty) : Buffer.concat(this.#more, this.#size));
  }

  fail(reason: ConnectError): void {
    this.#finish(reason);
  }

  #finish(outcome: Buffer | ConnectError): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#first = undefined;
    this.#more = undefined;
    settle?.(outcome);
  }
}

const empty = Buffer.alloc(0);

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `the request body is larger than ${maxBytes} bytes`);
}

function tooSlow(timeoutMs: number): HttpError {
  return new HttpError(408, `the request body did not arrive within ${timeoutMs} ms`, {
    headers: { connection: "close" },
  });
}
