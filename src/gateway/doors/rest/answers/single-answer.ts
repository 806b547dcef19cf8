import type { Message } from "@bufbuild/protobuf";
import type { ReadReplies } from "../../../../core/call/batches.ts";
import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import type { Answer, ByteAnswer } from "./answer.ts";

/** The answer of an rpc with one reply message: sent like that of a unary rpc, when the call has ended. */
export class SingleAnswer<Payload> implements Answer<Payload> {
  readonly #exchange: HttpExchange;
  readonly #errors: Pick<ErrorWriter, "send">;
  readonly write: (message: Message) => Payload;
  readonly #send: (payload: Payload) => void;
  #one: { readonly payload: Payload } | undefined;

  /**
   * @param write encodes the message
   * @param send sends the result of `write`
   */
  constructor(
    exchange: HttpExchange,
    errors: Pick<ErrorWriter, "send">,
    write: (message: Message) => Payload,
    send: (payload: Payload) => void,
  ) {
    this.#exchange = exchange;
    this.#errors = errors;
    this.write = write;
    this.#send = send;
  }

  begin(): void {}

  message(payload: Payload): undefined {
    if (this.#one !== undefined) throw wrongCount("more came");
    this.#one = { payload };
  }

  async end(): Promise<void> {
    if (this.#one === undefined) return this.fail(wrongCount("none came"));
    try {
      this.#send(this.#one.payload);
    } catch (reason) {
      await this.fail(reason);
    }
  }

  async fail(reason: unknown): Promise<void> {
    this.#errors.send(this.#exchange, reason);
  }
}

/** The same where the message comes in binary form. */
export class SingleByteAnswer<Payload> extends SingleAnswer<Payload> implements ByteAnswer<Payload> {
  readonly read: ReadReplies<Payload>;

  /** @param read makes what is sent of the message, as `write` */
  constructor(
    exchange: HttpExchange,
    errors: Pick<ErrorWriter, "send">,
    write: (message: Message) => Payload,
    read: ReadReplies<Payload>,
    send: (payload: Payload) => void,
  ) {
    super(exchange, errors, write, send);
    this.read = read;
  }
}

function wrongCount(found: string): ConnectError {
  return new ConnectError(`the rpc answers with one message, ${found}`, Code.Unimplemented);
}
