import { parseContentType } from "@connectrpc/connect/protocol-grpc";
import { Code } from "../../../core/errors/errors.ts";
import { headerValue } from "../../http/header-value.ts";
import type { MakeDoor } from "../door.ts";
import { formOf, isCodedWhole } from "../rpc/body-form.ts";
import { envelopedCall } from "../rpc/enveloped-call.ts";
import { notPosted, refuse, unknownRpc, unsupportedType } from "../rpc/refusal.ts";
import { rpcDoor, rpcType } from "../rpc/rpc-door.ts";
import { RpcMetadata } from "../rpc/rpc-metadata.ts";
import { grpc } from "./grpc.ts";

/**
 * gRPC on the HTTP port, recognized by its content type; over HTTP/2 only, since HTTP/1 does not guarantee trailers.
 */
export const grpcDoor: MakeDoor = (kit) => {
  const metadata = new RpcMetadata(kit.metadata);
  return rpcDoor(
    {
      name: "grpc",
      claims: (head) => head.httpVersionMajor === 2 && rpcType(head)?.startsWith("application/grpc") === true,
      compile(method, own) {
        const call = envelopedCall(method, grpc, own, metadata);
        return (exchange) => {
          const { head } = exchange;
          const refusal = notPosted(head);
          if (refusal !== undefined) return refuse(exchange, refusal);
          const type = isCodedWhole(head)
            ? undefined
            : parseContentType(headerValue(head.headers["content-type"]));
          if (type === undefined) return refuse(exchange, unsupportedType(method, head));
          call(formOf(type.binary, "application/grpc"), exchange);
        };
      },
      refuseUnknown(exchange, path) {
        const headers = {
          "grpc-status": String(Code.Unimplemented),
          "grpc-message": encodeURIComponent(unknownRpc(path).text),
          "content-type": "application/grpc",
        };
        try {
          exchange.respond(200, headers, undefined);
        } catch {
          exchange.destroy(); // A hook has set an invalid header.
        }
        return true;
      },
    },
    kit,
  );
};
