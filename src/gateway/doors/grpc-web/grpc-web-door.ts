import { parseContentType } from "@connectrpc/connect/protocol-grpc-web";
import { headerValue } from "../../http/header-value.ts";
import type { MakeDoor } from "../door.ts";
import { formOf, isCodedWhole } from "../rpc/body-form.ts";
import { envelopedCall } from "../rpc/enveloped-call.ts";
import { notPosted, refuse, unknownRpc, unsupportedType } from "../rpc/refusal.ts";
import { rpcDoor, rpcType } from "../rpc/rpc-door.ts";
import { RpcMetadata } from "../rpc/rpc-metadata.ts";
import { grpcWeb } from "./grpc-web.ts";

/** gRPC-Web, recognized by its content type. */
export const grpcWebDoor: MakeDoor = (kit) => {
  const metadata = new RpcMetadata(kit.metadata);
  return rpcDoor(
    {
      name: "grpc-web",
      claims: (head) => rpcType(head)?.startsWith("application/grpc-web") === true,
      compile(method, own) {
        const call = envelopedCall(method, grpcWeb, own, metadata);
        return (exchange) => {
          const { head } = exchange;
          const refusal = notPosted(head);
          if (refusal !== undefined) return refuse(exchange, refusal);
          const type = isCodedWhole(head)
            ? undefined
            : parseContentType(headerValue(head.headers["content-type"]));
          if (type === undefined) return refuse(exchange, unsupportedType(method, head));
          const base = type.text ? "application/grpc-web-text" : "application/grpc-web";
          call(formOf(type.binary, base, type.text), exchange);
        };
      },
      refuseUnknown(exchange, path) {
        refuse(exchange, unknownRpc(path));
        return true;
      },
    },
    kit,
  );
};
