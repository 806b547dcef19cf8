import {
  type DescField,
  type DescMessage,
  type DescService,
  getOption,
  hasOption,
  type Registry,
} from "@bufbuild/protobuf";
import { resource, resource_definition, resource_reference } from "../../../gen/google/api/resource_pb.ts";
import { field_faces } from "../../../gen/ts_ms/v1/faces_pb.ts";
import type { Reference } from "../../../gen/ts_ms/v1/faces_pb.ts";
import { typesOf } from "../../core/contract/reachable-types.ts";
import type { Finding } from "./finding.ts";
import type { Places } from "./places.ts";

/** References of fields that lead nowhere. */
export function checkReferences(
  services: readonly DescService[],
  registry: Iterable<DescKind>,
  places: Places,
): Finding[] {
  const kinds = [...registry];
  const resources = resourceTypes(kinds);
  const known = new Map(
    kinds.flatMap((desc) => (desc.kind === "service" ? [[desc.typeName, desc] as const] : [])),
  );
  const messages = typesOf(services).filter((type) => type.kind === "message");
  return messages.flatMap(({ fields }) =>
    fields.flatMap((field) =>
      [resourceProblem(field, resources), ...rpcProblems(field, known)]
        .filter((problem) => problem !== undefined)
        .map((problem) => ({
          rule: "reference",
          ...places.of(field),
          message: `${field.parent.typeName}.${field.name} ${problem}`,
        })),
    ),
  );
}

type DescKind = Registry extends Iterable<infer T> ? T : never;

/** The types of resources that contracts define. */
function resourceTypes(kinds: readonly DescKind[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const desc of kinds) {
    if (desc.kind === "message" && hasOption(desc, resource)) found.add(getOption(desc, resource).type);
    const { file } = desc;
    if (hasOption(file, resource_definition)) {
      for (const { type } of getOption(file, resource_definition)) found.add(type);
    }
  }
  return found;
}

function resourceProblem(field: DescField, resources: ReadonlySet<string>): string | undefined {
  if (!hasOption(field, resource_reference)) return undefined;
  const { type, childType } = getOption(field, resource_reference);
  const name = type === "" ? childType : type;
  if (name === "" || name === "*" || resources.has(name)) return undefined;
  return `refers to resources of the type ${JSON.stringify(name)}, which no message has: GraphQL cannot follow it`;
}

function rpcProblems(field: DescField, services: ReadonlyMap<string, DescService>): (string | undefined)[] {
  if (!hasOption(field, field_faces)) return [];
  const { reference } = getOption(field, field_faces);
  if (reference === undefined) return [];
  return [
    rpcProblem(reference.method, reference.field, "name", services),
    reference.batchMethod === ""
      ? undefined
      : rpcProblem(reference.batchMethod, reference.batchField, "names", services),
    isNamed(reference, field.parent)
      ? `has the name ${reference.name} of another field for what it refers to`
      : undefined,
  ];
}

function rpcProblem(
  method: string,
  field: string,
  byDefault: string,
  services: ReadonlyMap<string, DescService>,
): string | undefined {
  if (method === "") return undefined;
  const dot = method.lastIndexOf(".");
  const rpc = services.get(method.slice(0, dot))?.methods.find(({ name }) => name === method.slice(dot + 1));
  if (rpc === undefined) return `refers to the rpc ${method}, which is not there: GraphQL does not start`;
  const wanted = field === "" ? byDefault : field;
  if (rpc.input.fields.some(({ name }) => name === wanted)) return undefined;
  return `refers to ${method}, whose request has no field ${wanted}: GraphQL does not start`;
}

function isNamed({ name }: Reference, { fields }: DescMessage): boolean {
  return name !== "" && fields.some(({ jsonName }) => jsonName === name);
}
