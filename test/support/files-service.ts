import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HttpBody, HttpBodySchema } from "../../gen/google/api/httpbody_pb.ts";
import {
  type DownloadRequest,
  type ExportRequest,
  type ExportResponseSchema,
  FilesService,
  type GetFileRequest,
  type PutFileRequest,
  type PutFileResponseSchema,
  type SubmitRequest,
  type SubmitResponseSchema,
  type UploadRequest,
  UploadRequestSchema,
  type UploadResponseSchema,
} from "../../gen/tsms/test/v1/files_pb.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Service } from "../../src/core/call/service.ts";

/** A file that `GetFile` and `Download` give. */
export interface StoredFile {
  readonly contentType: string;
  readonly data: Uint8Array;
  /** Metadata of the reply. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Keeps files by name, and counts what happens to its streams. */
export class Files implements Service<typeof FilesService> {
  readonly descriptor = FilesService;
  readonly files = new Map<string, StoredFile>();
  /** Request headers of the last call. */
  lastHeader: Headers | undefined;
  /** Pieces that `Download` has given. */
  produced = 0;
  /** Pieces that streams have taken. */
  received = 0;
  /** Calls whose generator was left or whose signal fired. */
  cancelled = 0;
  /** `Upload` calls whose signal fired. */
  aborted = 0;
  /** Holds `Upload` back before each message; undefined for not at all. */
  hold: (() => Promise<void>) | undefined;
  readonly #waiters = new Set<() => void>();

  async getFile(
    { name }: GetFileRequest,
    context: HandlerContext,
  ): Promise<MessageInitShape<typeof HttpBodySchema>> {
    this.lastHeader = context.requestHeader;
    this.#notify();
    const file = this.files.get(name);
    if (file === undefined) throw new ConnectError(`no file ${name}`, Code.NotFound);
    checkRange(context, file);
    for (const [key, value] of Object.entries(file.headers ?? {})) context.responseHeader.set(key, value);
    return file;
  }

  async putFile(request: PutFileRequest): Promise<MessageInitShape<typeof PutFileResponseSchema>> {
    const { file } = request;
    const data = file?.data ?? new Uint8Array();
    return {
      request: { ...request, file: file && { ...file, data: new Uint8Array() } },
      hasFile: file !== undefined,
      size: data.length,
      digest: sha256([data]),
    };
  }

  async *download(
    request: DownloadRequest,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof HttpBodySchema>> {
    this.lastHeader = context.requestHeader;
    const file = this.files.get(request.name);
    if (file !== undefined) checkRange(context, file);
    for (const [key, value] of Object.entries(file?.headers ?? {})) context.responseHeader.set(key, value);
    let isDone = false;
    try {
      const count = request.count === 0 ? Infinity : request.count;
      for (let index = 0; index < count; index++) {
        if (index === request.failAfter) throw new ConnectError("the disk broke", Code.DataLoss);
        this.produced++;
        this.#notify();
        const contentType = index === 0 ? request.contentType : "text/ignored";
        yield { contentType, data: new Uint8Array(request.pieceBytes).fill(index % 251) };
      }
      if (request.failAfter === count) throw new ConnectError("the disk broke", Code.DataLoss);
      context.responseTrailer.set("x-pieces", String(request.count));
      isDone = true;
    } finally {
      if (!isDone) this.cancelled++;
      this.#notify();
    }
  }

  async *export({ count }: ExportRequest): AsyncGenerator<MessageInitShape<typeof ExportResponseSchema>> {
    for (let index = 0; index < count; index++) {
      yield { cursor: `c${index}`, part: { contentType: "text/csv", data: Buffer.from(`${index},`) } };
    }
  }

  async upload(
    requests: AsyncIterable<UploadRequest>,
    context: HandlerContext,
  ): Promise<MessageInitShape<typeof UploadResponseSchema>> {
    const hash = createHash("sha256");
    const sizes: number[] = [];
    let first: UploadRequest | undefined;
    let chatty = 0;
    let isDone = false;
    const aborted = (): void => {
      this.aborted++;
      this.#notify();
    };
    context.signal.addEventListener("abort", aborted, { once: true });
    try {
      for await (const request of requests) {
        this.received++;
        this.#notify();
        await this.hold?.();
        const data = request.file?.data ?? request.data;
        hash.update(data);
        sizes.push(data.length);
        const { name, tags, file } = request;
        if (first !== undefined) {
          if (name !== "" || tags.length > 0 || (file?.contentType ?? "") !== "") chatty++;
          continue;
        }
        const kept = create(UploadRequestSchema, { name, tags });
        if (file !== undefined) kept.file = { ...file, data: new Uint8Array() };
        first = kept;
      }
      isDone = true;
    } finally {
      if (!isDone) this.cancelled++;
      this.#notify();
    }
    return { ...(first === undefined ? {} : { first }), sizes, chatty, digest: hash.digest("hex") };
  }

  async mirror(request: HttpBody): Promise<MessageInitShape<typeof HttpBodySchema>> {
    return request;
  }

  async *pipe(requests: AsyncIterable<HttpBody>): AsyncGenerator<MessageInitShape<typeof HttpBodySchema>> {
    for await (const request of requests) {
      this.received++;
      this.#notify();
      yield request;
    }
  }

  async submit(request: SubmitRequest): Promise<MessageInitShape<typeof SubmitResponseSchema>> {
    return { request };
  }

  /** Resolves as soon as `condition` holds; it is looked at whenever a counter has changed. */
  async until(condition: (files: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }
}

/** Refuses a range that begins behind the end of a file, unless that has a status of its own. */
function checkRange({ requestHeader }: HandlerContext, { data, headers }: StoredFile): void {
  const [, first] = /^bytes=(\d+)-/.exec(requestHeader.get("range") ?? "") ?? [];
  if (headers !== undefined || first === undefined || Number(first) < data.length) return;
  const metadata = { "content-range": `bytes */${data.length}`, "x-own": "1" };
  throw new ConnectError(`there are ${data.length} bytes`, Code.OutOfRange, metadata);
}

/** The SHA-256 of bytes in hexadecimal. */
export function sha256(parts: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
