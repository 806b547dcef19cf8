import type { Socket } from "node:net";
import { duplexPair, type Duplex } from "node:stream";
import { clientHttp2Defaults, keepaliveDefaults } from "../../http2/client-http2-options.ts";
import { ClientSession, type ClientSessionOptions } from "../../http2/client-session.ts";
import { Http2Counts } from "../../http2/http2-counts.ts";
import { RequestHead, type RequestStream, type Session, type StreamListener } from "../../http2/session.ts";

const noFields: readonly string[] = [];

/** No pings inside the process, and no connection that the metrics count. */
const linkOptions: ClientSessionOptions = Object.freeze({
  keepalive: { ...keepaliveDefaults, timeMs: 0 },
  http2: clientHttp2Defaults,
  counts: new Http2Counts(),
});

/** A connection of HTTP/2 inside the process, from one client's calls to the handlers of grpc-js. */
export class GrpcJsLink {
  /** The end for grpc-js. */
  readonly far: Duplex;
  readonly #near: Duplex;
  readonly #ready: Promise<Session>;
  #session: Session | undefined;
  #calls = 0;
  #rest: NodeJS.Timeout | undefined;
  #retired = false;

  /** @param ended Called when the link is closed. */
  constructor(ended: (link: GrpcJsLink) => void) {
    const [near, far] = duplexPair();
    this.far = far;
    // What a session needs of a socket beside a stream.
    const socket = Object.assign(near, { ref() {}, unref() {}, setNoDelay() {} });
    this.#near = near;
    this.#ready = new Promise((resolve, reject) => {
      const session = new ClientSession(socket as unknown as Socket, linkOptions, {
        onReady: () => {
          this.#session = session.start({
            onCapacity() {},
            onRetired: () => (this.#retired = true),
            onGoaway() {},
            onTooManyPings() {},
            onAging() {},
          });
          resolve(this.#session);
        },
        onFailed: reject,
      });
      near.on("data", (bytes: Buffer) => session.read(bytes, bytes.length));
      session.greet();
    });
    near.once("close", () => {
      clearTimeout(this.#rest);
      this.#retired = true;
      ended(this);
    });
  }

  /** Whether calls can be opened. */
  get isUsable(): boolean {
    return !this.#retired;
  }

  /** A call begins to use the link. */
  take(): void {
    this.#calls++;
    clearTimeout(this.#rest);
  }

  /** A call no longer uses the link. @returns how many still do */
  release(): number {
    return --this.#calls;
  }

  /** Closes the link in so many milliseconds, unless a call uses it before. */
  rest(milliseconds: number): void {
    this.#rest = setTimeout(() => this.destroy(), milliseconds).unref();
  }

  /** Opens a stream with these fields: name, value, name, value. Rejects if that is not possible. */
  async open(fields: readonly string[], listener: StreamListener): Promise<RequestStream> {
    const session = this.#session ?? (await this.#ready);
    if (!session.hasCapacity) throw new Error("grpc-js takes no more calls of this client");
    return session.open(new RequestHead(noFields, fields), listener);
  }

  destroy(): void {
    this.#retired = true;
    this.#near.destroy();
    this.far.destroy();
  }
}
