import { connect, type Socket } from "node:net";
import type { StreamForm } from "./stream-load.ts";

/** Reads one stream and checks that it gets every message once and in order. */
export class SoakReader {
  /** Resolves with the last message, or when the connection is closed before it. */
  readonly done: Promise<void>;
  /** The first error; undefined for none. */
  problem: string | undefined;
  /** Number of messages received. */
  received = 0;
  readonly #socket: Socket;
  readonly #count: number;
  readonly #finish: () => void;
  #rest = "";

  /**
   * @param count how many messages the stream has
   * @param stalled whether nothing is read after the head of the answer
   */
  constructor(port: number, target: string, form: StreamForm, count: number, stalled: boolean) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finish = resolve;
    this.#count = count;
    const socket = (this.#socket = connect({ port, host: "127.0.0.1" }));
    const lines = [`GET ${target} HTTP/1.1`, "Host: localhost", ...form.headers];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("closed early"));
    if (stalled) socket.once("data", () => socket.pause());
    else socket.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const text = this.#rest + chunk.toString("latin1");
    let end = 0;
    for (const match of text.matchAll(numberOfMessage)) {
      end = match.index + match[0].length;
      const number = Number(match[1]);
      if (number !== ++this.received) {
        this.#end(`message ${number} came where ${this.received} was due`);
        return;
      }
    }
    this.#rest = text.slice(Math.max(end, text.length - longestNumber));
    if (this.received === this.#count) this.#end(undefined);
  }

  #end(problem: string | undefined): void {
    if (this.received < this.#count) this.problem ??= problem;
    this.#finish();
  }
}

/** The number of a message. The comma shows that it is complete, since `weight` is not the last member. */
const numberOfMessage = /"weight":(\d+),/g;

const longestNumber = 32;
