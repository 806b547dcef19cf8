import { fromBinary } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import type { HttpBody } from "../../../../gen/google/api/httpbody_pb.ts";

/** The field of a `google.protobuf.Struct` in `HttpBody.extensions` that holds the nonce of a page. */
export const pageNonceField = "ts_ms.pages.nonce";

/** The nonce of a page that a service has rendered; undefined for other bodies. */
export function pageNonce(body: HttpBody | undefined): string | undefined {
  for (const { typeUrl, value } of body?.extensions ?? []) {
    if (!typeUrl.endsWith("/google.protobuf.Struct")) continue;
    try {
      const { kind } = fromBinary(StructSchema, value).fields[pageNonceField] ?? {};
      if (kind?.case === "stringValue" && /^[\w-]{16,64}$/.test(kind.value)) return kind.value;
    } catch {
      continue; // It is of another program.
    }
  }
  return undefined;
}
