import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import { cost } from "../../../gen/ts_ms/v1/options_pb.ts";

/** How much a call of an rpc takes of limits, by the option `(ts_ms.v1.cost)` of its contract; 1 without it. */
export function contractCost(method: DescMethod): number {
  return hasOption(method, cost) ? getOption(method, cost) : 1;
}
