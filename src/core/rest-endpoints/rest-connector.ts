import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectTo } from "../http2/connect-options.ts";
import { CalledMethods } from "./called-methods.ts";
import { SocketMaker } from "./http1-sockets.ts";
import { RestSession } from "./rest-session.ts";

/**
 * Connects to endpoints that speak REST, for connections in place of an engine of HTTP/2.
 *
 * @param called the rpcs that are called, by their paths; may grow
 * @param maxMessageBytes the largest reply message, in bytes
 */
export function restConnector(called: ReadonlyMap<string, DescMethod>, maxMessageBytes: number): ConnectTo {
  const methods = new CalledMethods(called);
  return async (address, target, options) => {
    const sockets = new SocketMaker(address, target, options);
    const first = await sockets.connect();
    return new RestSession({ methods, sockets, first, maxMessageBytes });
  };
}
