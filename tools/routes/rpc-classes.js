/** What routes must know of rpcs, by their contracts. */
import { Plans } from "../../src/core/policy/plans.ts";
import { annotatedBindings } from "../../src/core/http-rule/http-rule.ts";
import { compileRoute } from "../../src/core/http-rule/route.ts";

/**
 * The rpcs of services in classes that have the same timeout, retries and mirroring, in the order of the contract.
 *
 * `timeout` is "0s", none, for streams: they last as long as their client wants. Rpcs may be sent again if they are
 * idempotent by their contract and have one request, which a proxy can keep.
 */
export function rpcClasses(services, traffic) {
  const plans = new Plans();
  const classes = new Map();
  for (const method of services.flatMap(({ methods }) => methods)) {
    const { timeoutMs, idempotency } = plans.of(method);
    const isUnary = method.methodKind === "unary";
    const hasOneRequest = isUnary || method.methodKind === "server_streaming";
    const kind = {
      timeout: isUnary ? (timeoutMs === undefined ? traffic.longest : `${timeoutMs / 1000}s`) : "0s",
      sendAgain: hasOneRequest && idempotency !== "UNKNOWN",
      mirrored: isUnary && idempotency === "NO_SIDE_EFFECTS",
    };
    const key = JSON.stringify(kind);
    if (!classes.has(key)) classes.set(key, { ...kind, methods: [] });
    classes.get(key).methods.push(method);
  }
  return [...classes.values()];
}

/** The path of an rpc over gRPC, Connect and gRPC-Web. */
export function rpcPath(method) {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The HTTP bindings of an rpc that its contract names: method, `*` for any, and parsed template. */
export function restRoutes(method) {
  return annotatedBindings(method).map(compileRoute);
}

/** An expression of RE2 that matches the paths of a template from end to end. */
export function pathPattern({ segments, verb }) {
  const parts = segments.map((segment) => {
    if (segment.kind === "rest") return "(/.*)?";
    return segment.kind === "any" ? "/[^/]+" : `/${escaped(segment.text)}`;
  });
  return (parts.join("") || "/") + (verb === "" ? "" : `:${escaped(verb)}`);
}

/** The literal segments with which all paths of a template begin; "/" if there is none. */
export function pathPrefix({ segments, verb }) {
  const first = segments.findIndex(({ kind }) => kind !== "literal");
  const fixed = segments.slice(0, first < 0 ? segments.length : first);
  // A verb is part of the last segment, and prefixes are of whole segments.
  const isWhole = fixed.length === segments.length && verb !== "";
  return `/${fixed.map(({ text }) => text).join("/")}${isWhole ? `:${verb}` : ""}`;
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
