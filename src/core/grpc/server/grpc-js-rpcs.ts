import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { DescMethod } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerOptions,
} from "@grpc/grpc-js";
import { Code, ConnectError } from "../../errors/errors.ts";
import { parseTimeout } from "../../wire/grpc-timeout.ts";
import { bareMethod, type GrpcJsKind } from "./bare-method.ts";
import type { OtherRpcs } from "./call-door.ts";
import type { CallHead, CallStream, ClientConnection } from "./call-stream.ts";
import { GrpcJsCall, GrpcJsReply } from "./grpc-js-call.ts";
import { GrpcJsLink } from "./grpc-js-link.ts";
import type { CallEnvironment } from "./server-call.ts";

/** Names the call whose connection a handler of grpc-js asks for; it never leaves the process. */
const callHeader = "x-ts-ms-call";

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
  #server: KnownServer | undefined;
  readonly #options: ServerOptions;
  readonly #environment: CallEnvironment;
  readonly #links = new WeakMap<ClientConnection, GrpcJsLink>();
  readonly #open = new Set<GrpcJsLink>();
  readonly #methods = new Map<string, DescMethod>();
  /** Connections of calls whose heads are on their way to grpc-js. */
  readonly #callers = new Map<string, ClientConnection>();
  #calls = 0;
  #inject: (connection: Duplex) => void = () => {};

  constructor(options: ServerOptions, environment: CallEnvironment) {
    this.#options = options;
    this.#environment = environment;
  }

  /** Whether the application has asked for the grpc-js server. */
  get isUsed(): boolean {
    return this.#server !== undefined;
  }

  /** The grpc-js server, made at first use. */
  get server(): Server {
    if (this.#server !== undefined) return this.#server;
    const interceptor = (_method: unknown, call: ServerInterceptingCallInterface): ServerInterceptingCall =>
      new LinkedCall(call, this.#callers);
    const server = new KnownServer({ ...this.#options, interceptors: [interceptor] });
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#inject = (connection) => injector.injectConnection(connection);
    return (this.#server = server);
  }

  has(path: string): boolean {
    return this.#server?.kinds.has(path) === true;
  }

  serve(
    stream: CallStream,
    path: string,
    { fields, rawFields }: CallHead,
    connection: ClientConnection,
  ): void {
    const timeout = fields["grpc-timeout"];
    const timeoutMs = typeof timeout === "string" ? parseTimeout(timeout) : undefined;
    const request = { headers: fields, timeoutMs, peer: connection.peer };
    const call = new GrpcJsCall(this.#environment, this.#methodOf(path), stream, request);
    stream.listen(call);
    const id = String(++this.#calls);
    this.#callers.set(id, connection);
    const link = this.#linkOf(connection);
    const forget = (): void => {
      this.#callers.delete(id);
      if (link.release() === 0) link.rest(restMs);
    };
    link
      .open([...call.headOf(rawFields), callHeader, id], new GrpcJsReply(call))
      .then((inner) => call.opened(inner, forget))
      .catch((reason: unknown) => {
        forget();
        const text = "the handlers of grpc-js cannot be reached";
        call.fail(new ConnectError(text, Code.Unavailable, undefined, undefined, reason));
      });
  }

  /** Ends all links, and releases the resources of grpc-js. */
  close(): void {
    for (const link of this.#open) link.destroy();
    this.#server?.forceShutdown();
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
    this.#inject(link.far);
    return link;
  }

  #methodOf(path: string): DescMethod {
    const known = this.#methods.get(path);
    if (known !== undefined) return known;
    const method = bareMethod(path, this.#server?.kinds.get(path) ?? "bidi");
    this.#methods.set(path, method);
    return method;
  }
}

/** A grpc-js server that knows which rpcs it has. */
class KnownServer extends Server {
  readonly kinds = new Map<string, GrpcJsKind>();

  override register<Request, Response>(
    path: string,
    handler: Parameters<typeof Server.prototype.register<Request, Response>>[1],
    serialize: (value: Response) => Buffer,
    deserialize: (bytes: Buffer) => Request,
    kind: string,
  ): boolean {
    const isNew = super.register(path, handler, serialize, deserialize, kind);
    if (isNew) this.kinds.set(path, kind as GrpcJsKind); // The only ones that grpc-js calls.
    return isNew;
  }

  override unregister(path: string): boolean {
    this.kinds.delete(path);
    return super.unregister(path);
  }
}

/** A call as its handler in grpc-js sees it: with the client that is at the other end of the link. */
class LinkedCall extends ServerInterceptingCall {
  #caller: ClientConnection | undefined;
  #peer: string | undefined;

  constructor(call: ServerInterceptingCallInterface, callers: Map<string, ClientConnection>) {
    super(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            this.#meet(metadata, callers);
            pass(metadata);
          },
        }),
    });
  }

  #meet(metadata: Metadata, callers: Map<string, ClientConnection>): void {
    const id = String(metadata.get(callHeader)[0]);
    metadata.remove(callHeader);
    this.#caller = callers.get(id);
    callers.delete(id);
    if (this.#caller !== undefined) this.#peer = addressOf(this.#caller.socket);
  }

  override getPeer(): string {
    return this.#peer ?? "unknown";
  }

  override getAuthContext(): ReturnType<ServerInterceptingCall["getAuthContext"]> {
    const socket = this.#caller?.socket;
    if (!(socket instanceof TLSSocket) || !socket.authorized) return {};
    const certificate = socket.getPeerCertificate();
    // Without a certificate Node gives an object without fields.
    const { raw } = certificate as { readonly raw?: Buffer };
    return raw === undefined
      ? { transportSecurityType: "ssl" }
      : { transportSecurityType: "ssl", sslPeerCertificate: certificate };
  }
}

/** The address of a client in the form of grpc-js. */
function addressOf(socket: Duplex): string | undefined {
  const { remoteAddress, remotePort } = socket as { remoteAddress?: string; remotePort?: number };
  if (remoteAddress === undefined) return undefined;
  return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`;
}
