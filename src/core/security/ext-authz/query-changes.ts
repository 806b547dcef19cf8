import type { HandlerContext } from "@connectrpc/connect";
import type { OkHttpResponse } from "../../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { CallContext } from "../../call/context.ts";

/** Changes the query of a REST call, before its parameters are bound. */
export function changeQuery(
  context: HandlerContext,
  { queryParametersToSet, queryParametersToRemove }: OkHttpResponse,
): void {
  const call = context as CallContext; // Contexts that gates see are ours.
  const before = call.changeQuery;
  call.changeQuery = (query) => {
    const parameters = new URLSearchParams(before?.(query) ?? query);
    for (const name of queryParametersToRemove) parameters.delete(name);
    for (const { key, value } of queryParametersToSet) parameters.set(key, value);
    return parameters.toString();
  };
}
