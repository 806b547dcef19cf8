import type { DescField, DescMethod, Registry } from "@bufbuild/protobuf";
import { type GraphQLFieldConfig, GraphQLObjectType, GraphQLSchema, printSchema } from "graphql";
import type { Comments, Commented } from "../../../core/contract/comments.ts";
import { Namer } from "../../../core/contract/namer.ts";
import { typesOf } from "../../../core/contract/reachable-types.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { Contract, FaceOptions } from "../face.ts";
import { ShownContract } from "../shown-contract.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import { type BoundFields, Inputs } from "./inputs.ts";
import { Leaves } from "./leaves.ts";
import { TypeNames } from "./names.ts";
import { emptyField, Outputs } from "./outputs.ts";
import { References } from "./references.ts";
import { compileRootField, type RootField } from "./root-field.ts";
import { type RootRpc, rootRpcs, type RootType } from "./rpcs.ts";
import { makeScalars } from "./scalars.ts";
import type { Subject } from "./subject.ts";
import { patchedOf } from "./update-mask.ts";

/** The options that a schema is made by. */
export type SchemaOptions = Pick<
  GraphqlOptions,
  "names" | "oneofs" | "maps" | Exclude<keyof FaceOptions, "guard">
>;

/** What a schema is made of. */
export type SchemaContract = Pick<Contract, "services" | "registry" | "routes" | "comments">;

/** Names that no message can have. */
const ownNames = ["Query", "Mutation", "Subscription", "Int", "Float", "String", "Boolean", "ID"];

/** The schema of a contract. */
export class ContractSchema {
  readonly schema: GraphQLSchema;
  /** The fields at the root, by type and name. */
  readonly roots: Readonly<Record<RootType, ReadonlyMap<string, RootField>>>;
  /** Rpcs that GraphQL cannot call. */
  readonly leftOut: readonly DescMethod[];
  /** Types that an `Any` may have, for details of errors. */
  readonly registry: Registry | undefined;
  readonly #subjects: readonly Subject[];
  readonly #comments: () => Promise<Comments>;
  #described: Promise<void> | undefined;

  /** @throws SetupError for what has no name in GraphQL, for names that meet, and for a wrong option of the contract */
  constructor(contract: SchemaContract, options: SchemaOptions) {
    const shown = new ShownContract("graphql", contract, options);
    const types = [...typesOf(shown.services)].toSorted((a, b) => (a.typeName < b.typeName ? -1 : 1));
    const namer = new Namer(shown.services, types);
    const scalars = makeScalars(contract.registry);
    const own = [...ownNames, ...Object.keys(scalars)];
    const names = new TypeNames(
      namer,
      own,
      types.filter((type) => shown.has(type) && !hasOwnScalar(type.typeName)),
    );
    const subjects: Subject[] = [];
    const about = (subject: Subject): void => void subjects.push(subject);
    const leaves = new Leaves(names, scalars, about);
    const parts = { names, scalars, leaves, shown, options, about };
    const { fields, leftOut } = rootRpcs(shown, contract.routes, namer, options.names);
    const messages = types.filter((type) => type.kind === "message");
    const references = new References(messages, fields);
    const outputs: Outputs = new Outputs(parts, (message, taken) => furtherFields(message, taken));
    const furtherFields = references.fields(outputs);
    const inputs = new Inputs(parts, boundFields(fields));
    const compiled = fields.map((rpc) => compileRootField(rpc, inputs, outputs));
    const rootsOf = (root: RootType): ReadonlyMap<string, RootField> =>
      new Map(compiled.filter(({ rpc }) => rpc.root === root).map((field) => [field.rpc.name, field]));
    this.roots = {
      query: rootsOf("query"),
      mutation: rootsOf("mutation"),
      subscription: rootsOf("subscription"),
    };
    this.leftOut = leftOut;
    this.registry = contract.registry;
    this.schema = new GraphQLSchema({
      query:
        rootType("Query", this.roots.query, subjects) ??
        new GraphQLObjectType({ name: "Query", fields: { _: emptyField } }),
      mutation: rootType("Mutation", this.roots.mutation, subjects),
      subscription: rootType("Subscription", this.roots.subscription, subjects),
      assumeValid: true, // By construction; tests validate the schemas of all contracts.
    });
    this.#subjects = subjects;
    this.#comments = contract.comments;
  }

  /** Makes comments of the contract the descriptions of the schema. Of no effect a second time. */
  describe(): Promise<void> {
    return (this.#described ??= this.#describe().catch((reason: unknown) => {
      this.#described = undefined; // The next question tries again.
      throw reason;
    }));
  }

  /** The schema in GraphQL's language, with descriptions. */
  async sdl(): Promise<string> {
    await this.describe();
    return `${printSchema(this.schema)}\n`;
  }

  async #describe(): Promise<void> {
    const comments = await this.#comments();
    for (const { type, desc, fields } of this.#subjects) {
      if (desc !== undefined) describeElement(type, desc, comments);
      const elements = elementsOf(type);
      for (const [name, one] of fields()) {
        const element = elements[name];
        if (element === undefined) continue;
        describeElement(element, one, comments);
      }
    }
    for (const root of Object.values(this.roots)) {
      for (const field of root.values()) this.#describeArgs(field, comments);
    }
  }

  #describeArgs({ rpc, members }: RootField, comments: Comments): void {
    const field = this.schema.getRootType(rpc.root)?.getFields()[rpc.name];
    for (const [at, arg] of (field?.args ?? []).entries()) {
      const member = members[at]?.member;
      if (member !== undefined) describeElement(arg, member, comments);
    }
  }
}

/** An element of a schema that can have a description. */
interface Describable {
  description?: string | null | undefined;
  deprecationReason?: string | null | undefined;
}

function elementsOf(type: Subject["type"]): Readonly<Record<string, Describable>> {
  if ("getFields" in type) return type.getFields();
  return "getValues" in type ? Object.fromEntries(type.getValues().map((value) => [value.name, value])) : {};
}

function describeElement(element: Describable, desc: Commented, comments: Comments): void {
  const { text, deprecation } = comments.of(desc);
  if (text !== "") element.description = text;
  if (deprecation !== undefined && typeof element.deprecationReason === "string")
    element.deprecationReason = deprecation;
}

function rootType(
  name: string,
  fields: ReadonlyMap<string, RootField>,
  subjects: Subject[],
): GraphQLObjectType | undefined {
  if (fields.size === 0) return undefined;
  const type = new GraphQLObjectType({
    name,
    fields: Object.fromEntries(
      [...fields].map(([fieldName, { config }]): [string, GraphQLFieldConfig<unknown, unknown>] => [
        fieldName,
        config,
      ]),
    ),
  });
  subjects.push({
    type,
    desc: undefined,
    fields: () => new Map([...fields].map(([fieldName, { rpc }]) => [fieldName, rpc.method])),
  });
  return type;
}

/** What paths bind below the request, by the side on which it is. */
function boundFields(rpcs: readonly RootRpc[]): BoundFields {
  const bound = { input: new Set<DescField>(), patch: new Set<DescField>() };
  for (const { method, routes } of rpcs) {
    const patched = patchedOf(method, routes);
    for (const { fields } of routes.flatMap(({ variables }) => variables)) {
      const [first, ...below] = fields;
      if (first !== undefined) bound.input.add(first);
      const side = first !== undefined && first === patched ? bound.patch : bound.input;
      for (const field of below) side.add(field);
    }
  }
  return bound;
}

/** Messages that are scalars of every schema. */
function hasOwnScalar(typeName: string): boolean {
  return /^google\.protobuf\.(?:Timestamp|Duration|FieldMask|Any|Struct|Value|ListValue|NullValue)$/.test(
    typeName,
  );
}

/** Refuses what a schema of GraphQL cannot have. */
export function madeSchema(contract: SchemaContract, options: SchemaOptions): ContractSchema {
  try {
    return new ContractSchema(contract, options);
  } catch (reason) {
    if (reason instanceof SetupError || !(reason instanceof Error)) throw reason;
    throw new SetupError(`graphql: ${reason.message}`, { cause: reason });
  }
}
