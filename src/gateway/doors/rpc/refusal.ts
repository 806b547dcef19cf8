import type { FastifyReply } from "fastify";

/** Why a request to an rpc is no call of any of its protocols. */
export interface Refusal {
  readonly status: 404 | 405 | 415;
  readonly text: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Something thrown where a request turns out to be no call. */
export class NoCall extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.text);
    this.refusal = refusal;
  }
}

/**
 * Answers with plain text: the clients of all these protocols make a code of the status then, as their specifications
 * tell them to, where JSON would have to name one.
 */
export function refuse(reply: FastifyReply, { status, text, headers = {} }: Refusal): void {
  void reply.code(status).headers(headers).header("content-type", "text/plain; charset=utf-8").send(text);
}
