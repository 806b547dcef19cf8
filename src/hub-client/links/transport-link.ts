import { aborted, invalidArgument, unknown } from "../call/codes.ts";
import {
  create,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { HubError, isObject } from "../call/hub-error.ts";
import type { HubMethod } from "../call/hub-method.ts";
import { toReset, type HubReset } from "../call/hub-reset.ts";
import { Gate } from "./gate.ts";
import { lostEnd } from "./http.ts";
import {
  noExtra,
  type Link,
  type LinkStream,
  type StreamEnd,
  type StreamListener,
  type StreamRequest,
} from "./link.ts";

/** What of a `ConnectError` is read; the class itself would have to be loaded for it. */
interface CallError {
  readonly code: number;
  readonly rawMessage: string;
  readonly metadata: Headers;
  findDetails(schema: typeof ErrorInfoSchema | typeof RetryInfoSchema): Message[];
}

/** Calls by a transport of Connect, such as `dial("host:port")` in Node: it connects again by itself. */
export class TransportLink implements Link {
  readonly name = "transport";
  readonly #transport: Transport;
  readonly #aborts = new Set<AbortController>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  open(request: StreamRequest, listener: StreamListener): LinkStream {
    const abort = new AbortController();
    const gate = new Gate();
    let isClosed = false;
    this.#aborts.add(abort);
    const run = async (): Promise<void> => {
      const end = await this.#read(request, listener, abort.signal, gate);
      this.#aborts.delete(abort);
      if (!isClosed) listener.ended(end);
    };
    void run();
    return {
      pause: () => gate.pause(),
      resume: () => gate.resume(),
      close() {
        isClosed = true;
        gate.resume();
        abort.abort();
      },
    };
  }

  async call(method: HubMethod, request: unknown, token: string | undefined): Promise<unknown> {
    const desc = descOf(method);
    try {
      const message = create(desc.input, request as Record<string, unknown>);
      if (!isUnary(desc)) throw unfit(method, "is no unary rpc");
      const { message: reply } = await this.#transport.unary(
        desc,
        undefined,
        undefined,
        headersOf({ token }),
        message,
      );
      return reply;
    } catch (reason) {
      throw toHubError(reason);
    }
  }

  authorize(): void {
    // The next call has it.
  }

  check(): void {
    // The transport finds out by its own keepalive.
  }

  close(): void {
    for (const abort of this.#aborts) abort.abort();
  }

  async #read(
    { method, request, after, token }: StreamRequest,
    listener: StreamListener,
    signal: AbortSignal,
    gate: Gate,
  ): Promise<StreamEnd> {
    try {
      const desc = descOf(method);
      if (!isServerStreaming(desc)) throw unfit(method, "does not stream replies to one request");
      const messages = (async function* () {
        yield create(desc.input, request as Record<string, unknown>);
      })();
      const headers = headersOf({ token, after });
      const { header, message } = await this.#transport.stream(desc, signal, undefined, headers, messages);
      listener.opened();
      const position = header.get("ts-ms-position") ?? undefined;
      if (header.get("ts-ms-resume") === "reset") {
        for (const reset of resetsOf(header.get("ts-ms-reset"))) listener.reset(reset, position);
      } else if (position !== undefined) listener.moved(position);
      for await (const one of message) {
        listener.message(one, undefined, noExtra);
        await gate.opened;
      }
      return { error: undefined, retryMs: undefined, lost: false };
    } catch (reason) {
      return endOf(reason, listener);
    }
  }
}

/** @throws HubError INVALID_ARGUMENT */
function descOf(method: HubMethod): DescMethod {
  if (method.desc !== undefined) return method.desc;
  throw unfit(method, "needs to be given as a descriptor, for a transport");
}

function isUnary(desc: DescMethod): desc is DescMethodUnary {
  return desc.methodKind === "unary";
}

function isServerStreaming(desc: DescMethod): desc is DescMethodServerStreaming {
  return desc.methodKind === "server_streaming";
}

function unfit({ path }: HubMethod, why: string): HubError {
  return new HubError(invalidArgument, `${path} ${why}`);
}

function headersOf({
  token,
  after,
}: {
  token: string | undefined;
  after?: string | undefined;
}): Record<string, string> {
  return {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(after !== undefined && { "last-event-id": after }),
  };
}

/** The end that an error is; one that tells of a reset is told, and the stream goes on behind it. */
function endOf(reason: unknown, listener: StreamListener): StreamEnd {
  const error = toHubError(reason);
  listener.opened();
  if (error.code === aborted && error.reason === "RESET") {
    const call = reason as CallError; // Others have no reason.
    const [info] = call.findDetails(ErrorInfoSchema) as { metadata?: Record<string, string> }[];
    listener.reset(toReset(info?.metadata ?? {}), call.metadata.get("ts-ms-position") ?? undefined);
    return { error, retryMs: 0, lost: false };
  }
  return { ...lostEnd(error), retryMs: error.retryMs, lost: false };
}

/** The resets of a stream that begins with some: a JSON array. */
function resetsOf(text: string | null): readonly HubReset[] {
  let json: unknown;
  try {
    json = JSON.parse(text ?? "[]");
  } catch {
    // Then it is not known why.
  }
  const resets = Array.isArray(json) ? json.filter(isObject).map(toReset) : [];
  return resets.length > 0 ? resets : [toReset({})];
}

function toHubError(reason: unknown): HubError {
  if (reason instanceof HubError) return reason;
  const { code, rawMessage, findDetails } = reason as Partial<CallError>;
  if (typeof code !== "number" || findDetails === undefined) {
    return new HubError(unknown, String(reason), [], reason);
  }
  const error = reason as CallError;
  const infos = error.findDetails(ErrorInfoSchema) as { reason?: string }[];
  const retries = error.findDetails(RetryInfoSchema) as { retryDelay?: { seconds: bigint; nanos: number } }[];
  const details = [
    ...infos.map((info) => ({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: info.reason })),
    ...retries.map(({ retryDelay }) => ({
      "@type": "type.googleapis.com/google.rpc.RetryInfo",
      retryDelay: `${Number(retryDelay?.seconds ?? 0n) + (retryDelay?.nanos ?? 0) / 1e9}s`,
    })),
  ];
  return new HubError(code, rawMessage ?? "", details, reason);
}
