import type { ConfigSource } from "../../../../gen/envoy/config/core/v3/config_source_pb.ts";

/** Whether further resources come by the same stream. */
export function isFromAds(source: ConfigSource | undefined): boolean {
  const kind = source?.configSourceSpecifier.case;
  return kind === "ads" || kind === "self";
}
