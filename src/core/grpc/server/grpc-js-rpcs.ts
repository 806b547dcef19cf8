import type { Server, ServerOptions } from "@grpc/grpc-js";
import type { Admission } from "../../admission/admission.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { bareMethod } from "./bare-method.ts";
import type { OtherRpc, OtherRpcs } from "./call-door.ts";
import type {
  CallHead,
  CallRequest,
  CallStream,
  ClientConnection,
  ServerStreamListener,
} from "./call-stream.ts";
import { GrpcJsCall, GrpcJsReply } from "./grpc-js-call.ts";
import { GrpcJsLink } from "./grpc-js-link.ts";
import { callHeader, makeGrpcJsServer, type GrpcJsServer } from "./grpc-js-server.ts";
import type { CallEnvironment } from "./server-call.ts";

/** A link that carries no call for so long is closed, in milliseconds. */
const restMs = 10_000;

/**
 * Rpcs whose handlers an application has added to a grpc-js server: existing implementations beside services of its own,
 * on the same ports.
 *
 * Grpc-js runs them as it always does, behind a link of HTTP/2 inside the process for each client; it is reached through
 * its public interface alone. Their calls pass the same checks as all others, and are counted, observed and ended with
 * them.
 */
export class GrpcJsRpcs implements OtherRpcs {
  /** The grpc-js server; undefined as long as the application has not asked for it. */
  #made: GrpcJsServer | undefined;
  readonly #options: ServerOptions;
  readonly #environment: CallEnvironment;
  #admission: Admission | undefined;
  readonly #links = new WeakMap<ClientConnection, GrpcJsLink>();
  readonly #open = new Set<GrpcJsLink>();
  readonly #methods = new Map<string, OtherRpc>();
  /** Connections of calls whose heads are on their way to grpc-js. */
  readonly #callers = new Map<string, ClientConnection>();
  #calls = 0;

  constructor(options: ServerOptions, environment: CallEnvironment, admission: Admission | undefined) {
    this.#options = options;
    this.#admission = admission;
    this.#environment = environment;
  }

  /** Whether the application has asked for the grpc-js server. */
  get isUsed(): boolean {
    return this.#made !== undefined;
  }

  /** The grpc-js server, made at first use. */
  get server(): Server {
    return (this.#made ??= makeGrpcJsServer(this.#options, this.#callers)).server;
  }

  /** Other gates for the calls that begin from now on. */
  reload(admission: Admission | undefined): void {
    this.#admission = admission;
    this.#methods.clear();
  }

  has(path: string): boolean {
    return this.#made?.kinds.has(path) === true;
  }

  find(path: string): OtherRpc {
    const known = this.#methods.get(path);
    if (known !== undefined) return known;
    const method = bareMethod(path, this.#made?.kinds.get(path) ?? "bidi");
    const rpc = { method, admit: this.#admission?.of(method) };
    this.#methods.set(path, rpc);
    return rpc;
  }

  serve(
    { method }: OtherRpc,
    stream: CallStream,
    request: CallRequest,
    { rawFields }: CallHead,
    connection: ClientConnection,
  ): ServerStreamListener {
    const call = new GrpcJsCall(this.#environment, method, stream, request);
    const id = String(++this.#calls);
    this.#callers.set(id, connection);
    const link = this.#linkOf(connection);
    const forget = (): void => {
      this.#callers.delete(id);
      if (link.release() === 0) link.rest(restMs);
    };
    link
      .open(call.headOf(rawFields, [callHeader, id]), new GrpcJsReply(call))
      .then((inner) => call.opened(inner, forget))
      .catch((reason: unknown) => {
        forget();
        const text = "the handlers of grpc-js cannot be reached";
        call.fail(new ConnectError(text, Code.Unavailable, undefined, undefined, reason));
      });
    return call;
  }

  /** Ends all links, and releases the resources of grpc-js. */
  close(): void {
    for (const link of this.#open) link.destroy();
    this.#made?.server.forceShutdown();
  }

  #linkOf(connection: ClientConnection): GrpcJsLink {
    const known = this.#links.get(connection);
    if (known?.isUsable === true) {
      known.take();
      return known;
    }
    const link = new GrpcJsLink((ended) => this.#open.delete(ended));
    this.#links.set(connection, link);
    this.#open.add(link);
    link.take();
    this.#made?.inject(link.far);
    return link;
  }
}
