import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { HubReader, inJson } from "./hub-reader.ts";

/** How long a poll waits for messages, in seconds. */
const waitS = 30;
const ok = 200;
const noContent = 204;

/** Follows a room by long polling. */
export class PollReader extends HubReader {
  readonly #agent = new Agent({ keepAlive: true });
  #asked: ClientRequest | undefined;
  #token: string | undefined;

  constructor(port: number, room: string, count: number) {
    super(port, room, count, false, inJson);
  }

  protected connect(link: number): void {
    const resumes = this.#token === undefined ? {} : { "x-resume-token": this.#token };
    this.#asked = request(
      {
        agent: this.#agent,
        host: "127.0.0.1",
        port: this.port,
        path: `/bench/v1/rooms/${this.room}/lines:follow`,
        headers: { prefer: `wait=${waitS}`, ...resumes },
      },
      (answer) => this.#answered(answer, link),
    );
    this.#asked.on("error", (error) => this.lost(link, error.message));
    this.#asked.end();
  }

  protected disconnect(): void {
    this.#asked?.destroy();
  }

  override close(): void {
    super.close();
    this.#agent.destroy();
  }

  #answered(answer: IncomingMessage, link: number): void {
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    answer.on("error", (error) => this.lost(link, error.message));
    answer.on("end", () => {
      if (!this.isCurrent(link)) return;
      const { statusCode, headers } = answer;
      const token = headers["x-resume-token"];
      if ((statusCode !== ok && statusCode !== noContent) || typeof token !== "string") {
        this.lost(link, `a poll was answered by ${statusCode}`);
        return;
      }
      this.#token = token;
      this.read(link, Buffer.concat(chunks).toString("latin1"));
      this.connect(link);
    });
  }
}
