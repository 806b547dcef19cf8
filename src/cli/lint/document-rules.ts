import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { faces } from "../../../gen/ts_ms/v1/faces_pb.ts";
import { rpcName } from "../../core/call/service.ts";
import type { Comments } from "../../core/contract/comments.ts";
import { traitsOf } from "../../core/contract/traits.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { leftOutOptions } from "../../gateway/faces/openapi/foreign-documents.ts";
import type { Finding } from "./finding.ts";
import type { Places } from "./places.ts";

/** Options for OpenAPI that a document cannot say: our own, and those of other projects. */
export function checkOpenapiOptions(services: readonly DescService[], places: Places): Finding[] {
  return [...ownOptions(services, places), ...foreignOptions(services, places)];
}

function foreignOptions(services: readonly DescService[], places: Places): Finding[] {
  return leftOutOptions(services).flatMap(({ desc, element, option }) => {
    if (desc.kind === "oneof") return [];
    const message = `${element}: ${option} is not in the document: the contract says it itself, or OpenAPI 3.1 cannot say it; readers do not see it`;
    return [{ rule: "openapi-option", ...places.of(desc), message }];
  });
}

function ownOptions(services: readonly DescService[], places: Places): Finding[] {
  return services.flatMap(({ methods }) =>
    methods.flatMap((method) => {
      if (!hasOption(method, faces)) return [];
      const { httpStatus, openapi } = getOption(method, faces);
      const id = openapi?.operationId ?? "";
      const problems = [
        httpStatus !== 0 && (httpStatus < 200 || httpStatus > 299)
          ? `http_status ${httpStatus} is none of success, 200 to 299: the gateway does not start`
          : "",
        httpStatus === 204 && method.output.fields.length > 0
          ? `http_status 204 has no body, and ${method.output.typeName} has fields: clients never get them`
          : "",
        /\s/.test(id)
          ? `operation_id ${JSON.stringify(id)} has white space: generators make no function of it`
          : "",
      ];
      return problems
        .filter((problem) => problem !== "")
        .map((problem) => ({
          rule: "openapi-option",
          ...places.of(method),
          message: `${rpcName(method)}: ${problem}`,
        }));
    }),
  );
}

/**
 * Tools of MCP without a comment: those that a contract marks, and safe rpcs, which are tools unless something else is
 * said.
 *
 * @returns findings, and whether there was something to look at: descriptors may have no comments at all
 */
export function checkDescriptions(
  services: readonly DescService[],
  routes: readonly Route[],
  comments: Comments,
  places: Places,
): { readonly findings: readonly Finding[]; readonly isLookedAt: boolean } {
  const verbs = new Map<DescMethod, string>();
  for (const { method, httpMethod, implicit } of routes) {
    if (!implicit && !verbs.has(method)) verbs.set(method, httpMethod);
  }
  let isLookedAt = false;
  const findings = services.flatMap(({ methods }) =>
    methods.flatMap((method) => {
      if (!isTool(method, verbs.get(method))) return [];
      const isCommented = comments.of(method).text !== "" ? true : places.hasComment(method);
      if (isCommented !== undefined) isLookedAt = true;
      if (isCommented !== false) return [];
      const message = `${rpcName(method)} has no comment: a model does not know what the tool is for`;
      return [{ rule: "mcp-description", ...places.of(method), message }];
    }),
  );
  return { findings, isLookedAt: isLookedAt || services.length === 0 };
}

function isTool(method: DescMethod, verb: string | undefined): boolean {
  const mcp = hasOption(method, faces) ? getOption(method, faces).mcp : undefined;
  if (mcp?.hidden === true) return false;
  if (mcp !== undefined && mcp.tool !== "") return true;
  const isOneRequest = method.methodKind === "unary" || method.methodKind === "server_streaming";
  return isOneRequest && traitsOf(method, verb).safe;
}
