import { connectDoor } from "./connect/connect-door.ts";
import { pathOf } from "../../core/net/request-target.ts";
import { sumOfReports } from "../../core/lifecycle/lifecycle.ts";
import { namesEvents } from "../http/media-type.ts";
import { documentsDoor } from "./documents/documents-door.ts";
import type { MakeDoor } from "./door.ts";
import { facesDoor } from "./faces/faces-door.ts";
import { grpcDoor } from "./grpc/grpc-door.ts";
import { grpcWebDoor } from "./grpc-web/grpc-web-door.ts";
import { healthDoor } from "./health/health-door.ts";
import { pagesDoor } from "./pages/pages-door.ts";
import { restDoor } from "./rest/rest-door.ts";
import { webSocketDoor } from "./websocket/websocket-door.ts";

/**
 * The protocols of the gateway, in the order in which they may claim a request. REST claims all
 * requests, and leaves paths that no rpc has to the pages behind it.
 */
export const doors: readonly MakeDoor[] = [
  healthDoor,
  documentsDoor,
  facesDoor,
  webSocketDoor,
  connectDoor,
  grpcWebDoor,
  grpcDoor,
  restDoor,
  pagesDoor,
];

/** Protocols that can have a server for themselves. */
export type LoneProtocol = "websocket" | "sse" | "graphql";

/** The doors of a server that serves one protocol alone, beside health. */
const lone: Readonly<Record<LoneProtocol, readonly MakeDoor[]>> = {
  websocket: [healthDoor, webSocketDoor],
  sse: [healthDoor, eventsDoor],
  graphql: [healthDoor, facesDoor, faceSocketsDoor],
};

/** The doors of a server. @param only the one protocol that it serves; undefined for all */
export function doorsOf(only: LoneProtocol | undefined): readonly MakeDoor[] {
  return only === undefined ? doors : lone[only];
}

/** REST for requests that ask for a stream of events. */
function eventsDoor(...parts: Parameters<MakeDoor>): ReturnType<MakeDoor> {
  return {
    ...restDoor(...parts),
    name: "sse",
    claims: ({ headers, method }) => namesEvents(headers.accept) || method === "OPTIONS",
  };
}

/** Sockets of faces, and no others. */
function faceSocketsDoor(...parts: Parameters<MakeDoor>): ReturnType<MakeDoor> {
  const [{ faces }] = parts;
  const door = webSocketDoor(...parts);
  return {
    name: door.name,
    claims: (head) => faces?.socketsAt(pathOf(head.url)) !== undefined && door.claims(head),
    serve: (rpcs) => door.serve(rpcs),
    stop: (graceMs) => door.stop?.(graceMs) ?? Promise.resolve(sumOfReports([])),
  };
}
