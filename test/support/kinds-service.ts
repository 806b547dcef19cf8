import { setTimeout as wait } from "node:timers/promises";
import { create, type DescMessage, type DescService, type Message } from "@bufbuild/protobuf";
import type { FieldMask, Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { AnyService } from "../../src/core/call/service.ts";
import type { BuiltContract } from "./built-contract.ts";

/** A message of the contract, whose fields tests know. */
type Fields = Readonly<Record<string, unknown>>;

/** What the services of `kindsProto` have been called with. */
export class KindsCalls {
  /** Names of rpcs, in the order of the calls. */
  readonly rpcs: string[] = [];
  /** The last request of each rpc. */
  readonly requests = new Map<string, Fields>();
  /** Streams that are open. */
  open = 0;
  /** Streams that were cancelled or have ended. */
  ended = 0;
  /** Ends all streams with UNAVAILABLE. */
  readonly fault = new AbortController();
}

/** The services of `kindsProto`. */
export function kindsServices(contract: BuiltContract, calls: KindsCalls): readonly AnyService[] {
  const serviceOf = (name: string): DescService => {
    const found = contract.services.find(({ typeName }) => typeName === name);
    if (found === undefined) throw new Error(`no service ${name}`);
    return found;
  };
  const message = (name: string, init: Fields): Message => {
    const found = contract.types.find((type) => type.typeName === `kinds.v1.${name}`);
    return create(found as DescMessage, init as never); // As the contract has it.
  };
  const noted = (rpc: string, request: unknown): Fields => {
    calls.rpcs.push(rpc);
    calls.requests.set(rpc, request as Fields);
    return request as Fields;
  };
  const same = (rpc: string, request: Message): Message => {
    noted(rpc, request);
    return request;
  };
  const book = (name: string): Message => {
    if (name.includes("missing")) throw new ConnectError(`${name} does not exist`, Code.NotFound);
    return message("Book", { name, title: `Title of ${name}`, authorName: "authors/1" });
  };
  const kinds = {
    descriptor: serviceOf("kinds.v1.KindsService"),
    echo: (request: Message) => same("Echo", request),
    setKinds: (request: Message) => same("SetKinds", request),
    nothing: (request: Message) => same("Nothing", request),
    raw: (request: Message) => same("Raw", request),
    hide: (request: Message) => request,
    async wait(request: Fields, { signal }: HandlerContext): Promise<Timestamp> {
      noted("Wait", request);
      calls.open++;
      try {
        await wait(Number(request["seconds"]) * 1_000, undefined, { signal });
        return timestampNow();
      } finally {
        calls.open--;
        calls.ended++;
      }
    },
    async *follow(request: Fields, { signal }: HandlerContext) {
      noted("Follow", request);
      const { count, fail, pauseMs } = request as { count: number; fail: string; pauseMs: number };
      calls.open++;
      const either = AbortSignal.any([signal, calls.fault.signal]);
      try {
        if (fail === "first") throw new ConnectError("no first event", Code.FailedPrecondition);
        for (let number = 1; number <= count; number++) {
          if (pauseMs > 0) await wait(pauseMs, undefined, { signal: either });
          yield message("Event", { number, text: "x".repeat(1_000), book: `books/${number}` });
        }
        if (fail === "last") throw new ConnectError("no more", Code.Unavailable);
        if (fail === "never") await wait(1 << 30, undefined, { signal: either });
      } catch (reason) {
        if (calls.fault.signal.aborted) throw new ConnectError("the upstream has died", Code.Unavailable);
        throw reason;
      } finally {
        calls.open--;
        calls.ended++;
      }
    },
  };
  const books = {
    descriptor: serviceOf("kinds.v1.BookService"),
    getBook: (request: Fields) => book(String(noted("GetBook", request)["name"])),
    batchGetBooks(request: Fields) {
      const { names } = noted("BatchGetBooks", request) as { names: readonly string[] };
      return message("BatchGetBooksResponse", { books: names.map(book).toReversed() });
    },
    listCopies(request: Fields) {
      const { pageSize, keys, missing, readMask } = noted("ListCopies", request) as {
        pageSize: number;
        keys: number;
        missing: string;
        readMask: FieldMask | undefined;
      };
      const nameOf = (at: number): string =>
        missing !== "" && at % keys === 7 ? missing : `books/${at % keys}`;
      const copies = Array.from({ length: pageSize }, (_, at) => message("Copy", { book: nameOf(at) }));
      return message("ListCopiesResponse", { copies, mask: readMask?.paths.join() ?? "" });
    },
    getAuthor(request: Fields) {
      const { name, readMask } = noted("GetAuthor", request) as {
        name: string;
        readMask: FieldMask | undefined;
      };
      const author = message("Author", { name, mask: readMask?.paths.join() ?? "" });
      return message("GetAuthorResponse", { author });
    },
  };
  return [kinds, books]; // Of descriptors that the compiler does not know.
}
