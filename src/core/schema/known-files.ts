import type { DescFile } from "@bufbuild/protobuf";
import { file_google_api_annotations } from "../../../gen/google/api/annotations_pb.ts";
import { file_google_api_field_behavior } from "../../../gen/google/api/field_behavior_pb.ts";
import { file_google_api_http } from "../../../gen/google/api/http_pb.ts";
import { file_ts_ms_v1_messaging } from "../../../gen/ts_ms/v1/messaging_pb.ts";
import { file_ts_ms_v1_options } from "../../../gen/ts_ms/v1/options_pb.ts";
import { standardFiles } from "../codec/standard-types.ts";

/** Files that contracts may import without including them, by their import name. */
export const knownFiles: ReadonlyMap<string, DescFile> = new Map(
  [
    ...standardFiles,
    file_google_api_annotations,
    file_google_api_field_behavior,
    file_google_api_http,
    file_ts_ms_v1_messaging,
    file_ts_ms_v1_options,
  ].map((file) => [`${file.name}.proto`, file]),
);
