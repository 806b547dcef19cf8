import {
  type FieldNode,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLField,
  GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLUnionType,
  isLeafType,
  type SelectionSetNode,
} from "graphql";
import { leafWriter } from "./leaf-texts.ts";
import { type Selecting, selectedFields } from "./selected-fields.ts";
import { irregular, type ValueWalk, type WriteValue } from "./value-walk.ts";

/** The most fields of one compiled operation, with fragments in place: a small document can spread them a million times. */
const maxFields = 4_000;

/** A value of a type, as writers have it. */
interface CompiledType {
  readonly write: WriteValue;
  readonly hasNull: boolean;
  /** Whether values may be promises. */
  readonly mayWait: boolean;
}

/** A field of a selection. */
interface CompiledField extends CompiledType {
  /** What stands before its value: the name, and fields before it whose values are known. */
  readonly before: string;
  readonly resolve: (source: unknown, walk: ValueWalk) => unknown;
}

/** Compiles the selections of one operation: what writes values of GraphQL's types as JSON. */
export class Projections {
  readonly #schema: GraphQLSchema;
  readonly #selecting: Selecting;
  readonly #leaves: Map<GraphQLOutputType, WriteValue>;
  #fields = 0;

  /** @param leaves writers of leaf types that other operations have left */
  constructor(schema: GraphQLSchema, selecting: Selecting, leaves: Map<GraphQLOutputType, WriteValue>) {
    this.#schema = schema;
    this.#selecting = selecting;
    this.#leaves = leaves;
  }

  /** The fields that a selection has of a type. @throws RangeError for an operation with too many fields */
  fields(
    type: GraphQLObjectType,
    sets: readonly SelectionSetNode[],
  ): ReadonlyMap<string, readonly FieldNode[]> {
    const found = selectedFields(type, sets, this.#selecting);
    this.#fields += found.size;
    if (this.#fields > maxFields) throw new RangeError("the operation has too many fields to be compiled");
    return found;
  }

  /** What writes the values of a field. @param nodes those of the field in the selection */
  type(type: GraphQLOutputType, nodes: readonly FieldNode[]): CompiledType {
    if (type instanceof GraphQLNonNull)
      return { ...this.type(type.ofType as GraphQLOutputType, nodes), hasNull: false }; // No non-null is in another.
    if (type instanceof GraphQLList) return this.#list(this.type(type.ofType, nodes)); // As the line says.
    if (isLeafType(type)) {
      let write = this.#leaves.get(type);
      if (write === undefined) this.#leaves.set(type, (write = leafWriter(type)));
      return { write, hasNull: true, mayWait: false };
    }
    const sets = nodes.map(({ selectionSet }) => selectionSet).filter((set) => set !== undefined);
    if (type instanceof GraphQLObjectType)
      return { write: this.#object(type, sets), hasNull: true, mayWait: true };
    if (type instanceof GraphQLUnionType)
      return { write: this.#union(type, sets), hasNull: true, mayWait: false };
    throw new TypeError(`${String(type)} is no type of this schema`);
  }

  #list({ write, hasNull, mayWait }: CompiledType): CompiledType {
    const writeAll: WriteValue = (value, walk) => {
      if (!Array.isArray(value)) throw irregular;
      const items = value as readonly unknown[];
      let before = "[";
      for (const item of items) {
        walk.text += before;
        before = ",";
        if (mayWait && item instanceof Promise) walk.later(item, write, hasNull);
        else walk.value(item, write, hasNull);
      }
      walk.text += items.length === 0 ? "[]" : "]";
    };
    return { write: writeAll, hasNull: true, mayWait: false };
  }

  #object(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): WriteValue {
    const fields: CompiledField[] = [];
    let before = "{";
    let isFirst = true;
    for (const [name, nodes] of this.fields(type, sets)) {
      const [node] = nodes;
      before += `${isFirst ? "" : ","}${JSON.stringify(name)}:`;
      isFirst = false;
      if (node?.name.value === "__typename") {
        before += JSON.stringify(type.name);
        continue;
      }
      const field = type.getFields()[node?.name.value ?? ""];
      if (field === undefined) throw new TypeError(`${type.name} has no field ${node?.name.value}`);
      fields.push({ before, resolve: resolverOf(field), ...this.type(field.type, nodes) });
      before = "";
    }
    const after = `${before}}`;
    return (source, walk) => {
      for (const field of fields) {
        walk.text += field.before;
        const value = field.resolve(source, walk);
        if (field.mayWait && value instanceof Promise) walk.later(value, field.write, field.hasNull);
        else if (value !== null && value !== undefined) field.write(value, walk);
        else if (field.hasNull) walk.text += "null";
        else throw irregular;
      }
      walk.text += after;
    };
  }

  #union(type: GraphQLUnionType, sets: readonly SelectionSetNode[]): WriteValue {
    const resolveType = type.resolveType as ((source: unknown) => unknown) | undefined; // Ours look at the value alone.
    const writers = new Map(
      this.#schema
        .getPossibleTypes(type)
        .map((one): [unknown, WriteValue] => [one.name, this.#object(one, sets)]),
    );
    return (source, walk) => {
      const write = writers.get(resolveType?.(source));
      if (write === undefined) throw irregular;
      write(source, walk);
    };
  }
}

const noArguments = Object.freeze({});

/** Fields below the root have no arguments, and their resolvers read nothing of the operation but what it loads. */
function resolverOf({ resolve, name }: GraphQLField<unknown, unknown>): CompiledField["resolve"] {
  if (resolve === undefined) return (source) => (source as Readonly<Record<string, unknown>>)[name]; // As GraphQL does.
  const own = resolve as (source: unknown, args: object, context: unknown) => unknown; // See above.
  return (source, walk) => own(source, noArguments, walk.operation);
}
