import { connectAsync, type ClientHttp3Stream, type Http3ClientSession } from "@currentspace/http3";
import { isAnswer, type HttpWork } from "./http-load.ts";
import { LoadRound } from "./load-round.ts";

/** How many calls a load keeps in flight: as over HTTP/2. */
const [connections, streamsEach] = [4, 16];

/**
 * Repeats the same request over HTTP/3 by the client of the package that the gateway serves it with. It costs more than the
 * server does: the rate of calls is the client's, and only the processor time of the server says something.
 */
export class Http3Load {
  readonly #work: HttpWork;
  readonly #head: Readonly<Record<string, string>>;
  readonly #sessions: readonly Http3ClientSession[];
  #body: Buffer | undefined;
  #round: LoadRound | undefined;

  private constructor(port: number, work: HttpWork, sessions: readonly Http3ClientSession[]) {
    this.#work = work;
    this.#sessions = sessions;
    this.#head = {
      ":method": work.method,
      ":scheme": "https",
      ":authority": `127.0.0.1:${port}`,
      ":path": work.target,
      accept: "*/*",
      "user-agent": "bench",
    };
    for (const session of sessions) {
      session.on("error", (error) => this.#round?.fail(error));
      session.on("close", () => this.#round?.fail(new Error("the server closed a connection")));
    }
  }

  /** Connects to a server of any certificate. @param work without a body */
  static async open(port: number, work: HttpWork): Promise<Http3Load> {
    const connect = (): Promise<Http3ClientSession> =>
      connectAsync(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, fallbackPolicy: "error" });
    return new Http3Load(port, work, await Promise.all(Array.from({ length: connections }, connect)));
  }

  /**
   * Keeps all streams busy for this many milliseconds, or for this many calls, and resolves with the number of replies.
   *
   * @throws Error for a wrong reply or a closed connection
   */
  run(ms: number, calls = Infinity): Promise<number> {
    const round = new LoadRound(ms, calls);
    this.#round = round;
    for (const session of this.#sessions) {
      for (let i = 0; i < streamsEach; i++) if (round.begin()) this.#call(session, round);
    }
    return round.done;
  }

  close(): void {
    this.#round = undefined;
    for (const session of this.#sessions) void session.destroy();
  }

  #call(session: Http3ClientSession, round: LoadRound): void {
    const stream = session.request(this.#head, { endStream: true });
    const parts: Buffer[] = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("error", round.fail);
    stream.on("end", () => {
      this.#check(stream, parts.length === 1 ? parts[0] : Buffer.concat(parts), round);
      if (round.again()) this.#call(session, round);
    });
  }

  /** The first body is compared as JSON, and all others with its bytes: a failed call has another one. */
  #check(stream: ClientHttp3Stream, body: Buffer = Buffer.alloc(0), round: LoadRound): void {
    if (this.#body?.equals(body) === true) return;
    if (this.#body !== undefined || !isAnswer(this.#work, body.toString()))
      round.fail(new Error(`a wrong answer on stream ${stream.id}: ${body.toString("utf8", 0, 500)}`));
    this.#body = body;
  }
}
