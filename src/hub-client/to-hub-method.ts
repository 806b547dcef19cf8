import { invalidArgument } from "./call/codes.ts";
import type { DescMethod, Registry } from "@bufbuild/protobuf";
import { HubError } from "./call/hub-error.ts";
import type { HubMethod } from "./call/hub-method.ts";

const asItIs = (json: unknown): unknown => json;
const none = (): undefined => undefined;

/**
 * The rpc of a descriptor, or of a path such as `shop.v1.ShopService/Watch`, whose messages are their JSON. protobuf-es is
 * loaded for descriptors alone.
 *
 * @throws HubError INVALID_ARGUMENT for a path that is none
 */
export async function toHubMethod(
  method: DescMethod | string,
  registry: Registry | undefined,
): Promise<HubMethod> {
  if (typeof method !== "string") return (await import("./typed-method.ts")).typedMethod(method, registry);
  const path = /^\/?([\w.]+\/\w+)$/.exec(method)?.[1];
  if (path === undefined) {
    throw new HubError(invalidArgument, `${JSON.stringify(method)} is not package.Service/Method`);
  }
  return {
    path: `/${path}`,
    desc: undefined,
    encode: asItIs,
    decode: asItIs,
    positionOf: none,
    resetOf: none,
  };
}
