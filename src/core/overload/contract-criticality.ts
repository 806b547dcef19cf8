import { getOption, type DescMethod } from "@bufbuild/protobuf";
import { Criticality as Level, criticality } from "../../../gen/ts_ms/v1/options_pb.ts";
import type { Criticality } from "./fair-share.ts";

/** What happens first to calls of an rpc, by the option `(ts_ms.v1.criticality)` of its contract; `DEFAULT` without it. */
export function contractCriticality(method: DescMethod): Criticality {
  switch (getOption(method, criticality)) {
    case Level.CRITICAL:
      return "CRITICAL";
    case Level.SHEDDABLE:
      return "SHEDDABLE";
    default:
      return "DEFAULT";
  }
}
