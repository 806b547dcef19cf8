import type { Message } from "@bufbuild/protobuf";
import type { FastifyReply } from "fastify";
import { Code, ConnectError } from "../../core/errors.ts";
import type { ErrorWriter } from "../error-writer.ts";
import type { Answer } from "./answer.ts";

/** The answer of an rpc that gives one message: sent like a unary one, when the call is over. */
export class SingleAnswer implements Answer {
  readonly #reply: FastifyReply;
  readonly #errors: Pick<ErrorWriter, "send">;
  readonly #send: (message: Message) => void;
  #message: Message | undefined;

  constructor(reply: FastifyReply, errors: Pick<ErrorWriter, "send">, send: (message: Message) => void) {
    this.#reply = reply;
    this.#errors = errors;
    this.#send = send;
  }

  begin(): void {}

  message(message: Message): undefined {
    if (this.#message !== undefined) throw wrongCount("more came");
    this.#message = message;
  }

  async end(): Promise<void> {
    if (this.#message === undefined) return this.fail(wrongCount("none came"));
    try {
      this.#send(this.#message);
    } catch (reason) {
      await this.fail(reason);
    }
  }

  async fail(reason: unknown): Promise<void> {
    this.#errors.send(this.#reply, reason);
  }
}

function wrongCount(found: string): ConnectError {
  return new ConnectError(`the rpc answers with one message, ${found}`, Code.Unimplemented);
}
