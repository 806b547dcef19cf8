import {
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { faces } from "../../../gen/ts_ms/v1/faces_pb.ts";
import { rpcName } from "../../core/call/service.ts";
import { Namer } from "../../core/contract/namer.ts";
import { typesOf } from "../../core/contract/reachable-types.ts";
import { graphqlDefaults } from "../../gateway/faces/graphql/graphql-options.ts";
import { nameIn, oneofName } from "../../gateway/faces/graphql/names.ts";
import { rpcFieldName } from "../../gateway/faces/graphql/rpcs.ts";
import type { Finding } from "./finding.ts";
import type { Places } from "./places.ts";

/** The names of an rpc by the faces that have it. */
export interface FaceNames {
  readonly GraphQL: string;
  readonly MCP: string;
  readonly OpenAPI: string;
}

/** The names of the rpcs of services, by their full names. */
export function faceNames(services: readonly DescService[]): ReadonlyMap<string, FaceNames> {
  const namer = new Namer(services, typesOf(services));
  const methods = services.flatMap((service) => service.methods);
  return new Map(
    methods.map((method) => {
      const own = hasOption(method, faces) ? getOption(method, faces) : undefined;
      return [
        rpcName(method),
        {
          GraphQL: rpcFieldName(method, namer, graphqlDefaults.names),
          MCP: given(own?.mcp?.tool) ?? namer.snake(method),
          OpenAPI: given(own?.openapi?.operationId) ?? namer.operation(method),
        },
      ];
    }),
  );
}

function given(name: string | undefined): string | undefined {
  return name === "" ? undefined : name;
}

/** Names that two rpcs have, and names that GraphQL cannot have. */
export function checkNames(services: readonly DescService[], places: Places): Finding[] {
  return [...sameNames(services, places), ...unnamable(services, places), ...oneofNames(services, places)];
}

function sameNames(services: readonly DescService[], places: Places): Finding[] {
  const names = faceNames(services);
  const methods = services.flatMap((service) => service.methods);
  return (["GraphQL", "MCP", "OpenAPI"] as const).flatMap((face) => {
    const first = new Map<string, DescMethod>();
    return methods.flatMap((method) => {
      const name = names.get(rpcName(method))?.[face] ?? "";
      const other = first.get(name);
      if (other === undefined) {
        first.set(name, method);
        return [];
      }
      const message = `${rpcName(method)} and ${rpcName(other)} are both called ${name} in ${face}, which does not start: give one of them another name by (ts_ms.v1.faces)`;
      return [{ rule: "face-name", ...places.of(method), message }];
    });
  });
}

function messagesOf(services: readonly DescService[]): DescMessage[] {
  return typesOf(services).filter((type) => type.kind === "message");
}

function unnamable(services: readonly DescService[], places: Places): Finding[] {
  return messagesOf(services).flatMap(({ typeName, fields }) =>
    fields
      .filter((field) => nameIn(field) === undefined)
      .map((field) => ({
        rule: "face-name",
        ...places.of(field),
        message: `${typeName}.${field.name} is no name of GraphQL, and neither is ${JSON.stringify(field.jsonName)}: GraphQL does not start; give it another json_name`,
      })),
  );
}

function oneofNames(services: readonly DescService[], places: Places): Finding[] {
  return messagesOf(services).flatMap(({ typeName, oneofs, fields }) =>
    oneofs.flatMap((oneof) => {
      const name = oneofName(oneof);
      const clash = fields.find((field) => field.oneof !== oneof && field.jsonName === name);
      if (clash === undefined) return [];
      const message = `the oneof ${typeName}.${oneof.name} and the field ${clash.name} are both ${name} in GraphQL, which does not start: rename one of them, or use oneofs: "fields"`;
      return [{ rule: "face-name", ...places.of(clash), message }];
    }),
  );
}
