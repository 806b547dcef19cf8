import { type DescField, type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import {
  faces,
  type GraphqlFace,
  GraphqlFace_Kind as Kind,
  service_faces,
} from "../../../../gen/ts_ms/v1/faces_pb.ts";
import type { Namer } from "../../../core/contract/namer.ts";
import { traitsOf } from "../../../core/contract/traits.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { ShownContract } from "../shown-contract.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import { isName } from "./names.ts";

/** The three types at the root of a schema. */
export type RootType = "query" | "mutation" | "subscription";

/** An rpc as a field at the root. */
export interface RootRpc {
  readonly method: DescMethod;
  readonly root: RootType;
  /** Name of the field. */
  readonly name: string;
  /** Calls change nothing. */
  readonly isSafe: boolean;
  /** Its routes by rules, in the order of the contract. */
  readonly routes: readonly Route[];
  /** The field of the reply that stands for the reply; undefined for the whole reply. */
  readonly responseField: DescField | undefined;
  readonly face: GraphqlFace | undefined;
}

/** The rpcs of a contract, as GraphQL has them. */
export interface RootRpcs {
  readonly fields: readonly RootRpc[];
  /** Rpcs that GraphQL cannot call. */
  readonly leftOut: readonly DescMethod[];
}

/** @throws SetupError for a name that two rpcs have, or that GraphQL does not allow, and for a kind that cannot be */
export function rootRpcs(
  shown: ShownContract,
  routes: readonly Route[],
  namer: Namer,
  names: GraphqlOptions["names"],
): RootRpcs {
  const byMethod = Map.groupBy(
    routes.filter(({ implicit }) => !implicit),
    ({ method }) => method,
  );
  const owners = new Map<string, DescMethod>();
  const fields: RootRpc[] = [];
  const leftOut: DescMethod[] = [];
  for (const method of shown.services.flatMap(({ methods }) => methods)) {
    const face = hasOption(method, faces) ? getOption(method, faces).graphql : undefined;
    if (!shown.has(method) || face?.kind === Kind.HIDDEN) continue;
    if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") {
      leftOut.push(method);
      continue;
    }
    const own = byMethod.get(method) ?? [];
    const isSafe = traitsOf(method, own[0]?.httpMethod).safe;
    const root = rootOf(method, isSafe, face);
    const name = rpcFieldName(method, namer, names);
    if (!isName(name))
      throw new SetupError(`graphql: ${method.toString()}: ${JSON.stringify(name)} is no name of GraphQL`);
    const other = owners.get(`${root} ${name}`);
    if (other !== undefined) {
      const both = `${other.toString()} and ${method.toString()}`;
      throw new SetupError(
        `graphql: ${both} are both called ${name}: set (ts_ms.v1.faces).graphql.name of one of them`,
      );
    }
    owners.set(`${root} ${name}`, method);
    fields.push({ method, root, name, isSafe, routes: own, responseField: responseFieldOf(own), face });
  }
  return { fields, leftOut };
}

/** The name of the field of an rpc, as the contract or the option `names` has it; GraphQL may not allow it. */
export function rpcFieldName(method: DescMethod, namer: Namer, names: GraphqlOptions["names"]): string {
  const given = hasOption(method, faces) ? (getOption(method, faces).graphql?.name ?? "") : "";
  if (given !== "") return given;
  const plain = names === "service" ? namer.camelOfService(method) : namer.camel(method);
  const prefix = hasOption(method.parent, service_faces)
    ? getOption(method.parent, service_faces).graphqlPrefix
    : "";
  return prefix === "" ? plain : prefix + plain.slice(0, 1).toUpperCase() + plain.slice(1);
}

function rootOf(method: DescMethod, isSafe: boolean, face: GraphqlFace | undefined): RootType {
  const isStream = method.methodKind === "server_streaming";
  const kind = face?.kind ?? Kind.KIND_UNSPECIFIED;
  if (kind !== Kind.KIND_UNSPECIFIED && isStream !== (kind === Kind.SUBSCRIPTION)) {
    const what = isStream
      ? "a server stream can be a SUBSCRIPTION only"
      : "a unary rpc can be no SUBSCRIPTION";
    throw new SetupError(`graphql: ${method.toString()}: ${what}`);
  }
  if (isStream) return "subscription";
  if (kind === Kind.QUERY) return "query";
  return kind === Kind.MUTATION || !isSafe ? "mutation" : "query";
}

/** The field that all bindings have as the body of the reply. */
function responseFieldOf(routes: readonly Route[]): DescField | undefined {
  const [first] = routes;
  return routes.every(({ responseField }) => responseField === first?.responseField)
    ? first?.responseField
    : undefined;
}
