import { createRequire } from "node:module";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type * as GrpcJs from "@grpc/grpc-js";
import type {
  Metadata,
  Server,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerOptions,
} from "@grpc/grpc-js";
import { requirePeer } from "../../config/optional-peer.ts";
import type { GrpcJsKind } from "./bare-method.ts";
import type { ClientConnection } from "./call-stream.ts";

/** Loads grpc-js late: it is a large part of the start, and most programs have no handlers for it. */
const require = createRequire(import.meta.url);

/** Names the call whose connection a handler of grpc-js asks for; it never leaves the process. */
export const callHeader = "x-ts-ms-call";

/** A grpc-js server that knows which rpcs it has. */
export interface GrpcJsServer {
  readonly server: Server;
  /** The kinds of its rpcs, by their paths. */
  readonly kinds: ReadonlyMap<string, GrpcJsKind>;
  /** Serves a connection. */
  inject(connection: Duplex): void;
}

/**
 * Makes a grpc-js server. Its handlers see the client whose call they get by `callHeader` in the place of the connection
 * that carries it.
 *
 * @param callers Connections of clients by the values of `callHeader`.
 * @throws SetupError with the command that installs grpc-js, an optional peer, if it is not installed
 */
export function makeGrpcJsServer(
  options: ServerOptions,
  callers: Map<string, ClientConnection>,
): GrpcJsServer {
  const load = (): typeof GrpcJs => require("@grpc/grpc-js") as typeof GrpcJs; // `require` has no types.
  const grpc = requirePeer("@grpc/grpc-js", "GRPC: `engine`", load);
  const kinds = new Map<string, GrpcJsKind>();

  /** A grpc-js server that knows which rpcs it has. */
  class KnownServer extends grpc.Server {
    override register<Request, Response>(
      path: string,
      handler: Parameters<typeof Server.prototype.register<Request, Response>>[1],
      serialize: (value: Response) => Buffer,
      deserialize: (bytes: Buffer) => Request,
      kind: string,
    ): boolean {
      const isNew = super.register(path, handler, serialize, deserialize, kind);
      if (isNew) kinds.set(path, kind as GrpcJsKind); // The only ones that grpc-js calls.
      return isNew;
    }

    override unregister(path: string): boolean {
      kinds.delete(path);
      return super.unregister(path);
    }
  }

  /** A call as its handler in grpc-js sees it: with the client that is at the other end of the link. */
  class LinkedCall extends grpc.ServerInterceptingCall {
    #caller: ClientConnection | undefined;
    #peer: string | undefined;

    constructor(call: ServerInterceptingCallInterface) {
      super(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => {
              this.#meet(metadata);
              pass(metadata);
            },
          }),
      });
    }

    #meet(metadata: Metadata): void {
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

  const interceptor = (_method: unknown, call: ServerInterceptingCallInterface): ServerInterceptingCall =>
    new LinkedCall(call);
  const server = new KnownServer({ ...options, interceptors: [interceptor] });
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  return { server, kinds, inject: (connection) => injector.injectConnection(connection) };
}

/** The address of a client in the form of grpc-js. */
function addressOf(socket: Duplex): string | undefined {
  const { remoteAddress, remotePort } = socket as { remoteAddress?: string; remotePort?: number };
  if (remoteAddress === undefined) return undefined;
  return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`;
}
