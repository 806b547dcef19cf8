import type { Registry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { Socket } from "node:net";
import { restTransport } from "../rest/rest-transport.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import type {
  Connected,
  RequestHead,
  RequestStream,
  Session,
  SessionListener,
  SessionStats,
  StreamListener,
} from "../http2/session.ts";
import type { CalledMethods } from "./called-methods.ts";
import { agentFetch, type FetchPlace } from "./http1-fetch.ts";
import { EndpointAgent, mostSockets, type SocketMaker } from "./http1-sockets.ts";
import { RestStream } from "./rest-stream.ts";

/** What URLs begin with before the path; the authority is a header. */
const origin = "http://endpoint";

/** The parts of a session. */
export interface RestSessionParts {
  readonly methods: CalledMethods;
  readonly sockets: SocketMaker;
  /** A socket that is connected. */
  readonly first: Socket;
  /** The largest reply message, in bytes. */
  readonly maxMessageBytes: number;
}

/**
 * An endpoint that speaks REST, in the place of a connection of HTTP/2: streams are requests on the sockets that are kept
 * open to it. It ends when no further socket can be opened, and stays while the server closes those without requests.
 */
export class RestSession implements Session, Connected, FetchPlace {
  readonly agent: EndpointAgent;
  answered = false;
  used = false;
  quietSince = 0;
  readonly #parts: RestSessionParts;
  readonly #fetch: typeof fetch;
  /** One for the types of each contract. */
  readonly #transports = new WeakMap<Registry, Transport>();
  #listener: SessionListener | undefined;
  #streams = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #isRetired = false;

  constructor(parts: RestSessionParts) {
    this.#parts = parts;
    this.agent = new EndpointAgent(parts.first, () => parts.sockets.make());
    this.#fetch = agentFetch(origin, this);
  }

  start(listener: SessionListener): this {
    this.#listener = listener;
    return this;
  }

  destroy(): void {
    this.agent.destroy();
  }

  get hasCapacity(): boolean {
    return !this.#isRetired && this.#streams < mostSockets;
  }

  get stats(): SessionStats {
    return {
      streams: this.#streams,
      limit: mostSockets,
      rttMs: undefined,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
    };
  }

  open(head: RequestHead, listener: StreamListener): RequestStream {
    const path = head.shared[head.shared.indexOf(":path") + 1] ?? "";
    const method = this.#parts.methods.get(path);
    if (method === undefined) throw new ConnectError(`the rpc ${path} is not known`, Code.Internal); // Not so.
    this.used = true;
    this.#streams++;
    const stream = new RestStream(method, head, listener);
    void stream.run(this.#transportOf(method.registry)).then(() => this.#ended());
    return stream;
  }

  close(): void {
    this.#isRetired = true;
    this.#endIfQuiet();
  }

  isEstablished(socket: Socket): boolean {
    const isEstablished = this.#parts.sockets.isEstablished(socket);
    if (isEstablished) this.answered = true;
    return isEstablished;
  }

  unreachable(): void {
    if (this.#isRetired) return;
    this.close();
    this.#listener?.onRetired(this);
  }

  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  received(bytes: number): void {
    this.answered = true;
    this.#receivedBytes += bytes;
  }

  #transportOf(registry: Registry): Transport {
    let transport = this.#transports.get(registry);
    if (transport === undefined) {
      const { maxMessageBytes } = this.#parts;
      transport = restTransport({ baseUrl: origin, fetch: this.#fetch, registry, maxMessageBytes });
      this.#transports.set(registry, transport);
    }
    return transport;
  }

  #ended(): void {
    this.#streams--;
    if (this.#streams === 0) this.quietSince = performance.now();
    this.#endIfQuiet();
    if (!this.#isRetired) this.#listener?.onCapacity();
  }

  #endIfQuiet(): void {
    if (this.#isRetired && this.#streams === 0) this.agent.destroy();
  }
}
