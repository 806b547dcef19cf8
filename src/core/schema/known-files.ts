import type { DescFile } from "@bufbuild/protobuf";
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
import { file_google_api_annotations } from "../../../gen/google/api/annotations_pb.ts";
import { file_google_api_field_behavior } from "../../../gen/google/api/field_behavior_pb.ts";
import { file_google_api_http } from "../../../gen/google/api/http_pb.ts";
import { file_google_api_httpbody } from "../../../gen/google/api/httpbody_pb.ts";
import { file_google_rpc_code } from "../../../gen/google/rpc/code_pb.ts";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "../../../gen/google/rpc/status_pb.ts";
import { file_ts_ms_v1_options } from "../../../gen/ts_ms/v1/options_pb.ts";

/** Files that contracts import without bringing them along, by the name they are imported under. */
export const knownFiles: ReadonlyMap<string, DescFile> = new Map(
  [
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
    file_google_api_annotations,
    file_google_api_field_behavior,
    file_google_api_http,
    file_google_api_httpbody,
    file_google_rpc_code,
    file_google_rpc_error_details,
    file_google_rpc_status,
    file_ts_ms_v1_options,
  ].map((file) => [`${file.name}.proto`, file]),
);
