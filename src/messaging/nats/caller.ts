import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { NatsLine } from "../../core/nats/nats-line.ts";
import { NatsRefused } from "../../core/nats/nats-refused.ts";
import { isNoStream } from "../../core/nats/streams.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";
import { noQueue } from "../publish-outcome.ts";
import { codeOf, refusalOf, tooLarge } from "./nats-errors.ts";
import { fromNats, replyHeader, toNats } from "./nats-message.ts";
import { placeOf, type TopologyOptions } from "./topology.ts";

/** A call that waits for its reply. */
interface OpenCall {
  readonly message: OutgoingMessage;
  isSent: boolean;
  readonly reply: (message: IncomingMessage) => void;
  readonly fail: (error: ConnectError) => void;
}

/** Begins the subjects of replies, behind the inbox of the connection. */
const replies = "reply";

/**
 * Sends calls, and hands over their replies, which come to an inbox of the connection. A call is sent once: when the
 * connection ends, those that were sent have failed.
 */
export class Caller {
  readonly #options: TopologyOptions;
  readonly #hindrance: () => string;
  /** By the last part of the subjects of their replies. */
  readonly #calls = new Map<string, OpenCall>();
  #line: NatsLine | undefined;
  #last = 0;

  /** @param hindrance what keeps messages from being sent */
  constructor(options: TopologyOptions, hindrance: () => string) {
    this.#options = options;
    this.#hindrance = hindrance;
  }

  /** As `Broker.call`. */
  call(message: OutgoingMessage, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const number = String(++this.#last);
      const ended = (): void => {
        this.#calls.delete(number);
        signal.removeEventListener("abort", aborted);
      };
      const call: OpenCall = {
        message,
        isSent: false,
        reply: (reply) => {
          ended();
          resolve(reply);
        },
        fail: (error) => {
          ended();
          reject(error);
        },
      };
      const aborted = (): void => {
        const what = call.isSent ? "sent, and no reply has come" : "not sent";
        call.fail(new ConnectError(`${what}: ${this.#hindrance()}`, codeOf(signal)));
      };
      if (signal.aborted) return aborted();
      signal.addEventListener("abort", aborted);
      this.#calls.set(number, call);
      if (this.#line !== undefined) this.#send(this.#line, number, call);
    });
  }

  /** There is a connection. */
  up(line: NatsLine): void {
    this.#line = line;
    const inbox = `${line.inbox}.${replies}.`;
    line.subscribe(`${inbox}*`, (reply) => {
      this.#calls.get(reply.subject.slice(inbox.length))?.reply(fromNats(reply));
    });
    for (const [number, call] of [...this.#calls]) if (!call.isSent) this.#send(line, number, call);
  }

  /** The connection has ended. */
  down(): void {
    this.#line = undefined;
    const lost = "NATS: the connection of the call was lost; its outcome is unknown";
    for (const call of [...this.#calls.values()]) {
      if (call.isSent) call.fail(new ConnectError(lost, Code.Unavailable));
    }
  }

  /** Fails all calls. */
  abandonAll(why: string): void {
    for (const call of [...this.#calls.values()]) {
      const what = call.isSent ? "sent, and no reply has come" : "not sent";
      call.fail(new ConnectError(`${what}: ${why}`, Code.Unavailable));
    }
  }

  #send(line: NatsLine, number: string, call: OpenCall): void {
    if (line.isOver) return;
    const { headers, body, bytes } = toNats(call.message, {
      [replyHeader]: `${line.inbox}.${replies}.${number}`,
    });
    if (bytes > line.maxBytes) {
      return call.fail(tooLarge(`the call has ${bytes} bytes, and the server takes ${line.maxBytes}`));
    }
    call.isSent = true;
    const { topic } = call.message.to;
    line.request(placeOf(call.message.to, this.#options).subject, body, headers).then(
      (answer) => {
        if (isNoStream(answer)) call.fail(noQueue(topic));
        else if ("error" in answer.json<object>()) {
          const { error } = answer.json<{ error?: { description?: string } }>();
          call.fail(refusalOf(error?.description ?? "no reason is given", topic));
        }
      },
      (reason: unknown) => {
        // `down`, or the deadline, ends the others.
        if (reason instanceof NatsRefused) call.fail(refusalOf(reason, topic));
      },
    );
  }
}
