import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { AttributeContext_PeerSchema } from "../../../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import {
  type CheckRequest,
  CheckRequestSchema,
} from "../../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { CallHead } from "../../admission/call-head.ts";
import type { EdgeRequest } from "../../call/edge-request.ts";
import { rpcName } from "../../call/service.ts";

/** What of a call an authorizer gets to see. */
export interface Shown {
  readonly headers: readonly string[];
  readonly extensions: Readonly<Record<string, string>>;
}

/** The first bytes of a body. */
export interface BodyPart {
  readonly bytes: Uint8Array;
  /** Whether the body is longer. */
  readonly isPartial: boolean;
}

let lastId = 0;

/**
 * The question about a call, in Envoy's form (`envoy.service.auth.v3.CheckRequest`).
 *
 * @param body the beginning of the body; undefined for a question about the head alone
 */
export function checkRequestOf(
  call: CallHead,
  { headers: names, extensions }: Shown,
  body: BodyPart | undefined,
): CheckRequest {
  const { client, peer, method, door, route } = call;
  const isGrpc = door === "grpc";
  const headers: Record<string, string> = {};
  for (const name of names) {
    const values = call.headerValues(name);
    if (values.length > 0) headers[name] = values.join(",");
  }
  if (body !== undefined) headers["x-envoy-auth-partial-body"] = String(body.isPartial);
  return create(CheckRequestSchema, {
    attributes: {
      source: {
        ...(client.ip !== "" && addressOf(client.ip, 0)),
        principal: peer?.uris[0] ?? peer?.dnsNames[0] ?? "",
      },
      destination: destinationOf(call),
      request: {
        time: timestampFromMs(Date.now()),
        http: {
          id: String(++lastId),
          method: call.httpMethod,
          path: call.target,
          host: call.authority,
          scheme: call.scheme,
          protocol: isGrpc ? "HTTP/2" : protocolOf(call.context),
          size: BigInt(isGrpc ? -1 : (call.bodyBytes ?? -1)),
          headers,
          ...(body && { rawBody: body.bytes }),
        },
      },
      contextExtensions: {
        ...extensions,
        rpc: rpcName(method),
        door,
        ...(route !== undefined && { route }),
      },
    },
  });
}

function addressOf(address: string, port: number) {
  const portSpecifier = { case: "portValue", value: port } as const;
  return {
    address: { address: { case: "socketAddress", value: { address, portSpecifier } } },
  } as const;
}

/** The address that the client has called, as far as it is known. */
function destinationOf({ authority, scheme }: CallHead) {
  const [, host = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority) ?? [];
  if (host === "") return create(AttributeContext_PeerSchema);
  const address = host.replace(/^\[(.*)\]$/, "$1");
  return create(
    AttributeContext_PeerSchema,
    addressOf(address, port === undefined ? (scheme === "https" ? 443 : 80) : Number(port)),
  );
}

/** `HTTP/1.1`, `HTTP/2` as Envoy writes them. */
function protocolOf(context: HandlerContext): string {
  const { edge } = context as { readonly edge?: EdgeRequest | undefined }; // Contexts of our own have it.
  const version = edge?.head.httpVersion ?? "1.1";
  return `HTTP/${version === "2.0" ? "2" : version}`;
}
