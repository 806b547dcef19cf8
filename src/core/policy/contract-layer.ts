import { reflect } from "@bufbuild/protobuf/reflect";
import { MethodPolicySchema, type MethodPolicy } from "../../../gen/ts_ms/v1/policy_pb.ts";
import { LayerReader, type PolicyLayer } from "./policy-layer.ts";

/**
 * A policy as a contract has it.
 *
 * @param place where the option is written, for errors
 * @throws SetupError naming place and field
 */
export function contractLayer(policy: MethodPolicy, place: string): PolicyLayer {
  const layer = new LayerReader("contract", place);
  layer.readMessage(reflect(MethodPolicySchema, policy), "");
  return layer.done();
}
