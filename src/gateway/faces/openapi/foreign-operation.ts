import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import { foreignOption, type Optioned } from "../../../core/contract/foreign-options.ts";
import { objectOf, textOf } from "./foreign-values.ts";

/** The packages of options of grpc-gateway, for OpenAPI 2 and 3. */
export const optionPackages = Object.freeze({
  swagger: "grpc.gateway.protoc_gen_openapiv2.options",
  later: "grpc.gateway.protoc_gen_openapiv3.options",
});

/** Options that say something of an rpc as an operation, by their short names; the first has precedence. */
const names: readonly (readonly [string, string])[] = [
  ["openapiv2_operation", `${optionPackages.swagger}.openapiv2_operation`],
  ["openapiv3_operation", `${optionPackages.later}.openapiv3_operation`],
  ["operation", "openapi.v3.operation"],
];

/** Those that an rpc has, in JSON. */
export function operationOptions(method: DescMethod): readonly (readonly [string, JsonObject])[] {
  if (method.proto.options === undefined) return [];
  return names.flatMap(([short, name]) => {
    const option = objectAt(method, name);
    return option === undefined ? [] : [[short, option] as const];
  });
}

/** The id that they give an rpc as an operation; empty for none. */
export function foreignOperationId(method: DescMethod): string {
  const said = operationOptions(method).find(([, { operationId }]) => operationId !== undefined);
  return textOf(said?.[1]["operationId"]);
}

/** An option whose value is a message, in JSON; undefined where it is not set. */
export function objectAt(desc: Optioned, name: string): JsonObject | undefined {
  if (desc.proto.options === undefined) return undefined;
  const option = foreignOption(desc, name);
  return isMembers(option) ? objectOf(option) : undefined;
}
