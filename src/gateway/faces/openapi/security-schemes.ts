import { type DescMethod, getOption, hasOption, type JsonObject } from "@bufbuild/protobuf";
import { access } from "../../../../gen/ts_ms/v1/options_pb.ts";
import type { CredentialNeed, Gate, ShownCredential } from "../../../core/admission/gate.ts";

/** How the callers of a server show who they are. */
export interface DocumentSecurity {
  /** Security Scheme Objects by their names; none where callers are not asked. */
  readonly schemes: Readonly<Record<string, JsonObject>>;
  /** Whether calls of an rpc need one of them. */
  needOf(method: DescMethod): CredentialNeed;
  /** The same text as long as documents say the same; cheap enough for each request. */
  key(methods: readonly DescMethod[]): string;
}

/** @param given the option `security`; where it has none, the credentials that gates take are shown */
export function documentSecurity(
  given: Readonly<Record<string, JsonObject>>,
  gates: readonly Gate[],
): DocumentSecurity {
  const taken = gates.flatMap((gate) => Object.entries(gate.credentials?.() ?? {}));
  const schemes =
    Object.keys(given).length > 0
      ? given
      : Object.fromEntries(taken.map(([name, credential]) => [name, schemeOf(credential)]));
  const judges = gates.filter((gate) => gate.needs !== undefined);
  const hasSchemes = Object.keys(schemes).length > 0;
  const needOf = (method: DescMethod): CredentialNeed => (hasSchemes ? needAmong(judges, method) : "none");
  return {
    schemes,
    needOf,
    key: (methods) => {
      const canChange = hasSchemes && judges.length > 0; // What the contract says stays.
      return `${JSON.stringify(schemes)} ${canChange ? methods.map(needOf).join() : judges.length}`;
    },
  };
}

/** The Security Requirement Objects of an rpc: one of them is enough. */
export function requirementsOf(
  schemes: Readonly<Record<string, JsonObject>>,
  need: CredentialNeed,
): JsonObject[] {
  const each = need === "none" ? [] : Object.keys(schemes).map((name) => ({ [name]: [] }));
  return need === "optional" ? [...each, {}] : each;
}

function needAmong(judges: readonly Gate[], method: DescMethod): CredentialNeed {
  if (judges.length === 0) return needByContract(method);
  try {
    const needs = judges.map((gate) => gate.needs?.(method));
    return needs.includes("required") ? "required" : needs.includes("optional") ? "optional" : "none";
  } catch {
    return "required"; // A rule of an rpc that is wrong refuses its calls.
  }
}

function needByContract(method: DescMethod): CredentialNeed {
  const level = hasOption(method, access) ? getOption(method, access).level : "";
  return level === "public" ? "none" : level === "optional" ? "optional" : "required";
}

function schemeOf({ in: place, name, kind, issuer }: ShownCredential): JsonObject {
  const described = issuer === undefined ? {} : { description: `A token of ${issuer}.` };
  switch (place) {
    case "bearer":
      return { type: "http", scheme: "bearer", ...(kind === "jwt" && { bearerFormat: "JWT" }), ...described };
    case "basic":
      return { type: "http", scheme: "basic" };
    case "certificate":
      return { type: "mutualTLS" };
    default:
      return { type: "apiKey", in: place, name: name ?? "session" };
  }
}
