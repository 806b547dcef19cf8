import { once } from "node:events";
import { connect } from "node:net";

/** A stream of numbered messages, as a client requests it. */
export interface StreamWork {
  readonly target: string;
  /** Number of its messages. */
  readonly count: number;
}

/** The request for a stream in one format, and the form of the response. */
export interface StreamForm {
  /** Header lines of the request besides `Host`. */
  readonly headers: readonly string[];
  /** Status that begins it. */
  readonly status: number;
  /** What is sent when the response has begun: each part when the server has said more. Default: nothing. */
  readonly opening?: readonly Buffer[];
  /** Text after the last message of a complete stream, within its last bytes. */
  readonly last: string;
}

/** The ways to read a stream over HTTP. */
export const streamForms = {
  ndjson: {
    headers: ["Accept: application/x-ndjson", "Connection: close"],
    status: 200,
    last: "}\n\r\n0\r\n\r\n",
  },
  sse: {
    headers: ["Accept: text/event-stream", "Connection: close"],
    status: 200,
    last: "event: end\n",
  },
  array: { headers: ["Accept: application/json", "Connection: close"], status: 200, last: "}]\r\n0\r\n\r\n" },
  webSocket: {
    headers: [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    status: 101,
    last: '{"status":{"code":0',
  },
} as const satisfies Readonly<Record<string, StreamForm>>;

/** Reads streams one after the other, each on its own connection, and checks little more than their length. */
export class StreamLoad {
  readonly #port: number;
  readonly #work: StreamWork;
  readonly #form: StreamForm;

  constructor(port: number, work: StreamWork, form: StreamForm) {
    this.#port = port;
    this.#work = work;
    this.#form = form;
  }

  /**
   * Reads streams for this many milliseconds, at least one; resolves with the number of messages.
   *
   * @throws Error for an incomplete stream
   */
  async run(ms: number): Promise<number> {
    const end = performance.now() + ms;
    let messages = 0;
    do {
      await this.#read();
      messages += this.#work.count;
    } while (performance.now() < end);
    return messages;
  }

  close(): void {}

  /**
   * The numbers of all messages of one stream, in order.
   *
   * @throws Error as `run`
   */
  async numbers(): Promise<number[]> {
    const bytes: Buffer[] = [];
    await this.#read((chunk) => bytes.push(chunk));
    const text = Buffer.concat(bytes).toString("latin1").replace(chunkSize, "");
    return [...text.matchAll(/"weight":(\d+)/g)].map(([, number]) => Number(number));
  }

  async #read(take: (chunk: Buffer) => void = () => {}): Promise<void> {
    const { target, count } = this.#work;
    const { headers, status, last, opening = [] } = this.#form;
    const parts = [...opening];
    const socket = connect({ port: this.#port, host: "127.0.0.1" });
    const closed = once(socket, "close");
    socket.write(`${[`GET ${target} HTTP/1.1`, "Host: localhost", ...headers].join("\r\n")}\r\n\r\n`);
    let head = "";
    let tail = "";
    let length = 0;
    let closing = false;
    socket.on("data", (chunk: Buffer) => {
      if (head === "") head = chunk.toString("latin1", 0, 12);
      const part = parts.shift();
      if (part !== undefined) socket.write(part);
      length += chunk.length;
      tail = (tail + chunk.toString("latin1", Math.max(0, chunk.length - tailBytes))).slice(-tailBytes);
      take(chunk);
      if (status !== 101 || closing || !tail.includes(last)) return;
      closing = true;
      socket.write(closeFrame);
    });
    await closed;
    if (head !== `HTTP/1.1 ${status}` || length < count * shortest || !tail.includes(last)) {
      throw new Error(
        `a stream that is not whole: ${head}, ${length} bytes, at the end ${JSON.stringify(tail)}`,
      );
    }
  }
}

/** The close of a WebSocket from a client's side: empty and masked. */
const closeFrame = Buffer.from([0x88, 0x80, 0, 0, 0, 0]);

/** Number of bytes at the end that are checked. */
const tailBytes = 256;

/** No message is shorter than this. */
const shortest = 20;

/** The boundary between two chunks of HTTP/1.1, which may be inside a number. */
const chunkSize = /\r\n[0-9a-f]+\r\n/g;
