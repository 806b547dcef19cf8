import type { DescMethod } from "@bufbuild/protobuf";
import { rpcName } from "../../../core/call/service.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { Door, DoorHandler } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";

/** Answers one request to one rpc. Never throws. */
export type RpcHandler = (exchange: HttpExchange) => void;

/** A protocol whose paths are the names of rpcs, `/package.Service/Method`. */
export interface RpcProtocol {
  readonly name: string;
  /** As `Door.claims`. */
  claims(head: RequestHead): boolean;
  /** Compiles the handler of one rpc. */
  compile(method: DescMethod, kit: DoorKit): RpcHandler;
  /** Whether every answer to a request to this rpc is sent whole. Default: none is. */
  answersWhole?(method: DescMethod): boolean;
  /**
   * Answers a request that the protocol claims and whose path has no rpc; returns false if REST may have a route for
   * the path.
   */
  refuseUnknown(exchange: HttpExchange, path: string): boolean;
}

/** The door of a protocol whose paths are the names of rpcs: it finds the rpc of a request by one look-up. */
export function rpcDoor(protocol: RpcProtocol, kit: DoorKit): Door {
  return {
    name: protocol.name,
    claims: (head) => protocol.claims(head),
    serve(rpcs) {
      const handlers = new Map<string, RpcHandler>();
      const whole = new Map<string, RpcHandler>();
      const compile = (method: DescMethod): RpcHandler => {
        const path = `/${rpcName(method)}`;
        const handle = rpcs.compiled(protocol, method, () =>
          protocol.compile(method, rpcs.kitOf(method, path, kit)),
        );
        handlers.set(path, handle);
        if (protocol.answersWhole?.(method) === true) whole.set(path, handle);
        return handle;
      };
      for (const method of rpcs.due) compile(method);
      /** The handler of an rpc that was not called before in this set. */
      const late = (path: string): RpcHandler | undefined => {
        const method = rpcs.at(path);
        return method === undefined ? undefined : compile(method);
      };
      const choose: DoorHandler["choose"] = ({ url }) => {
        const path = pathOf(url);
        if (rpcs.isLazy && !handlers.has(path)) late(path);
        const handle = whole.get(path);
        if (handle === undefined) return undefined;
        return (exchange) => {
          exchange.route = path;
          handle(exchange);
        };
      };
      const serve = (exchange: HttpExchange): boolean => {
        const path = pathOf(exchange.head.url);
        const handle = handlers.get(path) ?? late(path);
        if (handle === undefined) return protocol.refuseUnknown(exchange, path);
        exchange.route = path;
        handle(exchange);
        return true;
      };
      return Object.assign(serve, { choose });
    },
  };
}

const contentTypeStart = /^\s*([\w/+.-]*)/;

/** The media type of a request in lower case, without its parameters; undefined for none and for `application/json`. */
export function rpcType({ headers }: Pick<RequestHead, "headers">): string | undefined {
  const type = headers["content-type"];
  if (type === undefined || type === "application/json") return undefined; // Nearly all requests.
  return contentTypeStart.exec(type)?.[1]?.toLowerCase();
}
