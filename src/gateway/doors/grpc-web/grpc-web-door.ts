import { parseContentType } from "@connectrpc/connect/protocol-grpc-web";
import { headerValue } from "../../http/header-value.ts";
import type { MakeDoor } from "../door.ts";
import { formOf } from "../rpc/body-form.ts";
import { envelopedCall } from "../rpc/enveloped-call.ts";
import { envelopedHandler } from "../rpc/enveloped-handler.ts";
import { refuse, unknownRpc } from "../rpc/refusal.ts";
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
        return envelopedHandler(method, call, ({ headers }) => {
          const type = parseContentType(headerValue(headers["content-type"]));
          const base = type?.text === true ? "application/grpc-web-text" : "application/grpc-web";
          return type && formOf(type.binary, base, type.text);
        });
      },
      refuseUnknown(exchange, path) {
        refuse(exchange, unknownRpc(path));
        return true;
      },
    },
    kit,
  );
};
