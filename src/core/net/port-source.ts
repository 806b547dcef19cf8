import type { Server } from "node:net";

/** Where servers get their connections from, in place of the system: in a worker it is the primary. */
export interface PortSource {
  /**
   * From now on `listen`, `close`, `address` and `listening` of a server are about a port of this source, with Node's
   * events.
   *
   * @param name of the server, for example `GRPC`
   */
  serve(server: Server, name: string): void;
}

let source: PortSource | undefined;

/** From now on servers get their connections from here; call it before they are made. */
export function usePortSource(other: PortSource | undefined): void {
  source = other;
}

/** Every server that takes calls is passed to this before it listens. */
export function connectToSource(server: Server, name: string): void {
  source?.serve(server, name);
}
