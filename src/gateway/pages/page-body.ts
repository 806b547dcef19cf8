import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { anyPack, StructSchema } from "@bufbuild/protobuf/wkt";
import { HttpBodySchema, type HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import { pageNonceField } from "../http/browsers/page-nonce.ts";

const utf8 = new TextEncoder();

/** A new nonce of a page: 128 random bits in base64url. */
export function newNonce(): string {
  return randomBytes(16).toString("base64url");
}

/** A page as the reply of an rpc. Its nonce is in `extensions`, where the HTTP server finds it for its policy. */
export function pageBody(html: string, nonce: string): HttpBody {
  const fields = { [pageNonceField]: { kind: { case: "stringValue", value: nonce } } } as const;
  return create(HttpBodySchema, {
    contentType: "text/html; charset=utf-8",
    data: utf8.encode(html),
    extensions: [anyPack(StructSchema, create(StructSchema, { fields }))],
  });
}
