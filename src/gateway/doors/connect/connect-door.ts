import type { DescMethod, DescMethodUnary } from "@bufbuild/protobuf";
import { parseContentType } from "@connectrpc/connect/protocol-connect";
import { rpcName } from "../../../core/call/service.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { headerValue } from "../../http/header-value.ts";
import type { MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";
import { formOf, isCodedWhole } from "../rpc/body-form.ts";
import { envelopedCall } from "../rpc/enveloped-call.ts";
import { notAllowed, notPosted, type Refusal, refuse, unknownRpc, unsupportedType } from "../rpc/refusal.ts";
import { rpcDoor, type RpcHandler, rpcType } from "../rpc/rpc-door.ts";
import { RpcMetadata } from "../rpc/rpc-metadata.ts";
import { ConnectErrorJson } from "./connect-error-json.ts";
import { connectStreams } from "./connect-streams.ts";
import { connectUnary } from "./connect-unary.ts";

/** The Connect protocol: unary calls by POST and GET, and streams. */
export const connectDoor: MakeDoor = (kit) => {
  const metadata = new RpcMetadata(kit.metadata);
  return rpcDoor(
    {
      name: "connect",
      claims: (head) => connectForm(head) !== undefined,
      compile: (method, own) =>
        method.methodKind === "unary"
          ? unaryCalls(method as DescMethodUnary, own, metadata) // Its kind is "unary".
          : streamCalls(method, own, metadata),
      answersWhole: ({ methodKind }) => methodKind === "unary",
      refuseUnknown(exchange, path) {
        const form = connectForm(exchange.head);
        // A query parameter of REST may have that name, and clients may send the header with any request.
        if (form === "get" || (form === "post" && !rpcPath.test(path))) return false;
        refuse(exchange, unknownRpc(path));
        return true;
      },
    },
    kit,
  );
};

/** The form of an rpc's path, which paths of REST rarely have. */
const rpcPath = /^\/(?:\w+\.)+\w+\/\w+$/;

const connectGet = /[?&]connect=v1(?:&|$)/;

/**
 * The form of call that a request makes: a stream by its content type, a GET by `connect=v1`, a POST by the header
 * `Connect-Protocol-Version`. Undefined for requests of other protocols.
 */
function connectForm(head: RequestHead): "get" | "post" | "stream" | undefined {
  const type = rpcType(head);
  if (type !== undefined) {
    if (type.startsWith("application/connect+")) return "stream";
    if (type.startsWith("application/grpc")) return undefined;
  }
  if (head.method === "GET") return connectGet.test(head.url) ? "get" : undefined;
  return head.headers["connect-protocol-version"] === undefined ? undefined : "post";
}

function unaryCalls(method: DescMethodUnary, kit: DoorKit, metadata: RpcMetadata): RpcHandler {
  const { get, post } = connectUnary(method, kit, metadata, new ConnectErrorJson(kit.binding.registry));
  return (exchange) => {
    const { head } = exchange;
    const form = connectForm(head);
    if (form === "get") return get(exchange);
    const refusal = notPosted(head) ?? (form === "post" ? undefined : unsupportedType(method, head));
    if (refusal === undefined) post(exchange);
    else refuse(exchange, refusal);
  };
}

function streamCalls(method: DescMethod, kit: DoorKit, metadata: RpcMetadata): RpcHandler {
  const protocol = connectStreams(new ConnectErrorJson(kit.binding.registry));
  const call = envelopedCall(method, protocol, kit, metadata);
  const refusalOf = (head: RequestHead): Refusal | undefined =>
    connectForm(head) === "get" ? notAllowed(`${rpcName(method)} streams: use POST`) : notPosted(head);
  return (exchange: HttpExchange) => {
    const { head } = exchange;
    const refusal = refusalOf(head);
    if (refusal !== undefined) return refuse(exchange, refusal);
    const type =
      connectForm(head) !== "stream" || isCodedWhole(head)
        ? undefined
        : parseContentType(headerValue(head.headers["content-type"]));
    if (type === undefined) return refuse(exchange, unsupportedType(method, head));
    call(formOf(type.binary, "application/connect"), exchange);
  };
}
