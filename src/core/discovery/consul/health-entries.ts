import { formatAddress } from "../../net/listener.ts";
import type { Endpoint } from "../resolver.ts";

type Members = Readonly<Record<string, unknown>>;

/**
 * The endpoints of an answer of `/v1/health/service/NAME`. Instances with a critical check are left out, and those with
 * a warning unless `takesWarning`.
 *
 * @param priority of all of them
 * @throws Error if the text is no such answer
 */
export function endpointsOf(text: string, takesWarning: boolean, priority: number): Endpoint[] {
  const entries: unknown = JSON.parse(text);
  if (!Array.isArray(entries)) throw new Error("the answer of Consul is no list");
  return entries.flatMap((entry) => {
    const endpoint = endpointOf(membersOf(entry), takesWarning, priority);
    return endpoint === undefined ? [] : [endpoint];
  });
}

function endpointOf(entry: Members, takesWarning: boolean, priority: number): Endpoint | undefined {
  const [node, service] = [membersOf(entry["Node"]), membersOf(entry["Service"])];
  const status = worstStatus(entry["Checks"]);
  if (status === "critical" || (status === "warning" && !takesWarning)) return undefined;
  const host = textOf(service["Address"]) ?? textOf(node["Address"]);
  const port = service["Port"];
  if (host === undefined || typeof port !== "number" || port <= 0) return undefined;
  const meta = textsOf(service["Meta"]);
  const weights = membersOf(service["Weights"]);
  const weight = weights[status === "warning" ? "Warning" : "Passing"];
  const id = textOf(service["ID"]);
  return {
    address: formatAddress({ host, port }),
    priority,
    meta,
    ...(typeof weight === "number" ? { weight } : {}),
    ...(meta["zone"] === undefined ? {} : { zone: meta["zone"] }),
    ...(id === undefined ? {} : { hashKey: id }),
  };
}

/** That of the instance: the worst of its checks, also of those that maintenance adds. */
function worstStatus(checks: unknown): "passing" | "warning" | "critical" {
  const all = Array.isArray(checks) ? checks.map((check) => membersOf(check)["Status"]) : [];
  if (all.includes("critical")) return "critical";
  return all.includes("warning") ? "warning" : "passing";
}

function membersOf(value: unknown): Members {
  return typeof value === "object" && value !== null ? (value as Members) : {};
}

/** A text; undefined for the empty one too. */
function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function textsOf(value: unknown): Record<string, string> {
  const texts = Object.entries(membersOf(value)).filter((entry) => typeof entry[1] === "string");
  return Object.fromEntries(texts) as Record<string, string>; // Only texts are left.
}
