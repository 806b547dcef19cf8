import { createRegistry, type DescFile, type DescMessage, type Registry } from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { file_google_api_httpbody } from "../../../gen/google/api/httpbody_pb.ts";
import { file_google_rpc_code } from "../../../gen/google/rpc/code_pb.ts";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "../../../gen/google/rpc/status_pb.ts";

/** The files of the standard types: those of `google.protobuf`, `google.rpc` and `google.api.HttpBody`. */
export const standardFiles: readonly DescFile[] = Object.freeze([
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
  file_google_api_httpbody,
  file_google_rpc_code,
  file_google_rpc_error_details,
  file_google_rpc_status,
]);

let standard: Registry | undefined;

/**
 * The message type of this full name: the one of `registry`, else a standard type, whatever the contracts import;
 * undefined for other names.
 */
export function messageType(name: string, registry: Registry | undefined): DescMessage | undefined {
  const own = registry?.getMessage(name);
  if (own !== undefined) return own;
  standard ??= createRegistry(...standardFiles);
  return standard.getMessage(name);
}
