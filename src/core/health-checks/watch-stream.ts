import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import type { ConnectionOptions } from "../http2/connection-options.ts";
import { responseFault, statusError, type ReplyFields } from "../http2/reply-status.ts";
import {
  RequestHead,
  type RequestStream,
  type Session,
  type StreamEnd,
  type StreamListener,
} from "../http2/session.ts";
import type { AttemptedCall, CallHead, StreamSources } from "../http2/stream-source.ts";
import { withPrefix } from "../wire/message-prefix.ts";
import { MessageReader, type MessageSink } from "../wire/message-reader.ts";

/** Is notified of what a server answers. */
export interface WatchListener {
  answered(isServing: boolean): void;
  /** The stream is over; it may begin again. @param code of its end, 0 for OK */
  ended(code: number): void;
}

const head: CallHead = {
  method: Health.method.watch,
  deadline: undefined,
  isShadow: false,
  eachRequestHeader() {},
  limit() {},
};

/** The most bytes of an answer. */
const mostBytes = 4_096;

/**
 * One stream of `grpc.health.v1.Health/Watch`. As there is one for each connection, of thousands perhaps, it is made of
 * no more than it needs: no client, context or generator.
 */
export class WatchStream implements AttemptedCall, StreamListener, MessageSink {
  readonly attempts = 0;
  readonly repeatable = false;
  readonly committed = true;
  readonly requestBytes = undefined;
  readonly #service: string;
  readonly #connection: StreamSources;
  readonly #listener: WatchListener;
  readonly #reader = new MessageReader(this, mostBytes);
  #stream: RequestStream | undefined;
  #isOver = false;

  constructor(service: string, connection: StreamSources, listener: WatchListener) {
    this.#service = service;
    this.#connection = connection;
    this.#listener = listener;
  }

  /** Begins as soon as the connection has room; `ended` may be called before this returns. */
  begin(): void {
    this.#connection.sourceOf(head).begin(this);
  }

  /** Ends the stream; the listener is not called any more. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream?.reset();
    const reason = new ConnectError("the health is not asked for any more", Code.Canceled);
    this.#connection.sourceOf(head).abandoned(this, reason);
  }

  /** It has no twin. */
  drop(): void {}

  open(session: Session, authority: string): void {
    const fields = fieldsOf(authority, this.#connection.options);
    const request = create(HealthCheckRequestSchema, { service: this.#service });
    this.#stream = session.open(new RequestHead(fields, []), this);
    this.#stream.end(withPrefix(toBinary(HealthCheckRequestSchema, request)));
  }

  cut(): void {
    this.#stream?.reset();
  }

  refuse({ code }: ConnectError): void {
    this.#end(code);
  }

  onResponse(headers: ReplyFields, ended: boolean): void {
    if (ended) this.onTrailers(headers);
    else this.#fail(responseFault(headers));
  }

  onData(chunk: Buffer, borrowed: boolean): void {
    if (this.#isOver) return;
    try {
      this.#reader.add(chunk, borrowed);
    } catch (error) {
      this.#fail(toCallError(error));
    }
  }

  message(_flags: number, bytes: Buffer): void {
    if (this.#isOver) return;
    const { status } = fromBinary(HealthCheckResponseSchema, bytes);
    this.#listener.answered(status === Status.SERVING);
  }

  onDrain(): void {}

  onTrailers(trailers: ReplyFields): void {
    this.#end(statusError(trailers)?.code ?? 0);
  }

  onClose({ lost, fault }: StreamEnd): void {
    this.#end((lost ?? fault)?.code ?? Code.Unavailable);
  }

  #fail(error: ConnectError | undefined): void {
    if (error === undefined || this.#isOver) return;
    this.#stream?.reset();
    this.#end(error.code);
  }

  #end(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.ended(code);
  }
}

function fieldsOf(authority: string, { tls, userAgent }: ConnectionOptions): string[] {
  return [
    ...[":method", "POST"],
    ...[":scheme", tls === false ? "http" : "https"],
    ...[":path", `/${Health.typeName}/${Health.method.watch.name}`],
    ...[":authority", authority],
    ...["te", "trailers"],
    ...["content-type", "application/grpc"],
    ...["user-agent", userAgent === undefined ? "ts-ms" : `${userAgent} ts-ms`],
  ];
}
