import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { faces } from "../../../gen/ts_ms/v1/faces_pb.ts";
import { rpcName } from "../../core/call/service.ts";
import { rolesOf } from "../../core/contract/field-roles.ts";
import { type Route, routeName } from "../../core/http-rule/route.ts";
import type { Finding } from "./finding.ts";
import { faceNames } from "./name-rules.ts";
import type { Places } from "./places.ts";
import { shapeOf } from "./route-rules.ts";

/** A contract with its routes. */
export interface RoutedContract {
  readonly services: readonly DescService[];
  readonly routes: readonly Route[];
}

/** What breaks for clients of an older contract; buf does not look into options (buf#2064). */
export function checkAgainst(before: RoutedContract, now: RoutedContract, places: Places): Finding[] {
  const methods = new Map(
    now.services.flatMap((service) => service.methods).map((method) => [rpcName(method), method]),
  );
  return [
    ...changedRoutes(before.routes, now, methods, places),
    ...addedRequirements(before.services, methods, places),
    ...changedNames(before.services, now.services, methods, places),
  ];
}

function changedRoutes(
  before: readonly Route[],
  now: RoutedContract,
  methods: ReadonlyMap<string, DescMethod>,
  places: Places,
): Finding[] {
  const served = new Map(now.routes.map((route) => [keyOf(route), route]));
  return before.flatMap((old) => {
    const rpc = rpcName(old.method);
    const method = methods.get(rpc);
    if (old.implicit && method !== undefined) return [];
    const place =
      method === undefined ? { file: old.method.parent.file.proto.name, line: 0 } : places.of(method);
    const route = served.get(keyOf(old));
    if (route === undefined) {
      const message = `${routeName(old)} of ${rpc} is gone: HTTP clients that use it get 404`;
      return [{ rule: "route-removed", ...place, message }];
    }
    if (rpcName(route.method) !== rpc) {
      const message = `${routeName(old)} called ${rpc} and calls ${rpcName(route.method)} now: HTTP clients get replies of another type`;
      return [{ rule: "route-changed", ...place, message }];
    }
    return differences(old, route).map((difference) => ({
      rule: "route-changed",
      ...place,
      message: `${routeName(route)} of ${rpc}: ${difference}`,
    }));
  });
}

function keyOf(route: Route): string {
  return `${route.httpMethod} ${shapeOf(route)}`;
}

function differences(old: Route, now: Route): string[] {
  const found: string[] = [];
  const change = (what: string, from: string, to: string, breaks: string): void => {
    if (from !== to) found.push(`the ${what} was ${from} and is ${to}: ${breaks}`);
  };
  change("body", bodyOf(old), bodyOf(now), "what HTTP clients send is read as something else");
  change("reply", replyOf(old), replyOf(now), "HTTP clients do not find the members they read");
  change("status of success", statusOf(old), statusOf(now), "HTTP clients may take it for an error");
  const [from, to] = [old, now].map(({ variables }) => variables.map(({ name }) => name).join(", "));
  change("list of fields in the path", from ?? "", to ?? "", "HTTP clients set other fields");
  return found;
}

function bodyOf({ bodyField }: Route): string {
  if (bodyField === undefined) return "none";
  return bodyField === "*" ? '"*"' : JSON.stringify(bodyField.map(({ name }) => name).join("."));
}

function replyOf({ responseField }: Route): string {
  return responseField === undefined ? "the whole message" : `the field ${responseField.name}`;
}

function statusOf({ method }: Route): string {
  const status = hasOption(method, faces) ? getOption(method, faces).httpStatus : 0;
  return String(status === 0 ? 200 : status);
}

/** Fields of requests that clients of the older contract may leave out. */
function addedRequirements(
  before: readonly DescService[],
  methods: ReadonlyMap<string, DescMethod>,
  places: Places,
): Finding[] {
  const seen = new Set<DescMessage>();
  const found: Finding[] = [];
  const compare = (old: DescMessage, now: DescMessage, rpc: string): void => {
    if (seen.has(now)) return;
    seen.add(now);
    for (const field of now.fields) {
      const older = old.fields.find(({ number }) => number === field.number);
      if (isRequired(field) && (older === undefined || !isRequired(older))) {
        const was = older === undefined ? "is new and required" : "is required now";
        const message = `${now.typeName}.${field.name} ${was}: clients of ${rpc} that leave it out are refused`;
        found.push({ rule: "required-added", ...places.of(field), message });
      }
      if (older?.message !== undefined && field.message !== undefined)
        compare(older.message, field.message, rpc);
    }
  };
  for (const old of before.flatMap((service) => service.methods)) {
    const now = methods.get(rpcName(old));
    if (now !== undefined) compare(old.input, now.input, rpcName(old));
  }
  return found;
}

function isRequired(field: DescField): boolean {
  const { required, outputOnly } = rolesOf(field);
  return required && !outputOnly;
}

function changedNames(
  before: readonly DescService[],
  now: readonly DescService[],
  methods: ReadonlyMap<string, DescMethod>,
  places: Places,
): Finding[] {
  const names = faceNames(now);
  return [...faceNames(before)].flatMap(([rpc, old]) => {
    const method = methods.get(rpc);
    const own = names.get(rpc);
    if (method === undefined || own === undefined) return [];
    return (["GraphQL", "MCP", "OpenAPI"] as const)
      .filter((face) => old[face] !== own[face])
      .map((face) => ({
        rule: "name-changed",
        ...places.of(method),
        message: `${rpc} was ${old[face]} in ${face} and is ${own[face]}: its clients there do not find it`,
      }));
  });
}
