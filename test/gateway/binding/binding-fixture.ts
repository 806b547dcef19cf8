import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { BindingService } from "../../../gen/tsms/test/v1/binding_pb.ts";
import { compileRoute, type Route } from "../../../src/core/http-rule/route.ts";

/** The route of one rule, written as `GET /v1/items/{id}`. */
export function routeOf(
  rpc: keyof typeof BindingService.method | DescMethod,
  rule: string,
  body = "",
): Route {
  const [httpMethod = "", template = ""] = rule.split(" ");
  const method = typeof rpc === "object" ? rpc : BindingService.method[rpc];
  return compileRoute({
    method,
    httpMethod,
    template,
    body,
    responseBody: "",
    implicit: false,
    source: "test",
  });
}

/** The violations of the INVALID_ARGUMENT that `run` throws, as `field: description`. */
export function violationsOf(run: () => unknown): string[] {
  return refusalOf(run)
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations)
    .map(({ field, description }) => `${field}: ${description}`);
}

/** The fields of those violations. */
export function refusedFields(run: () => unknown): string[] {
  return refusalOf(run)
    .findDetails(BadRequestSchema)
    .flatMap(({ fieldViolations }) => fieldViolations)
    .map(({ field }) => field);
}

/** The INVALID_ARGUMENT that `run` throws. */
export function refusalOf(run: () => unknown): ConnectError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConnectError, `${String(error)} is no ConnectError`);
    assert.equal(error.code, Code.InvalidArgument);
    return error;
  }
  return assert.fail("nothing was refused");
}
