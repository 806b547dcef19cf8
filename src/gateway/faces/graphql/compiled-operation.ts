import type { DescMethodServerStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import {
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLUnionType,
  type OperationDefinitionNode,
} from "graphql";
import type { EventStream, Operation } from "./operation.ts";
import { Projections } from "./projection.ts";
import type { Selection } from "./read-mask.ts";
import type { Selecting } from "./selected-fields.ts";
import type { RootField } from "./root-field.ts";
import { ValueWalk, type WriteValue } from "./value-walk.ts";
import { argumentsOf, type Variables } from "./versions.ts";

/** What an operation is compiled of. */
export interface CompiledOf {
  readonly schema: GraphQLSchema;
  readonly roots: ReadonlyMap<string, RootField>;
  readonly rootType: GraphQLObjectType;
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly includes: Selecting["includes"];
  readonly leaves: Map<GraphQLOutputType, WriteValue>;
}

/** A field at the root of an operation, which an rpc gives. */
interface CompiledRoot {
  /** Its name in the result. */
  readonly key: string;
  readonly root: RootField;
  /** @throws GraphQLError */
  readonly argsOf: (variables: Variables) => Readonly<Record<string, unknown>>;
  readonly selection: Selection;
  /** What stands before its value where it is the only field. */
  readonly before: string;
  readonly write: WriteValue;
  readonly hasNull: boolean;
}

/** A field at the root: what stands before its value, and the rpc that gives it, or the text that is known. */
interface RootPart {
  readonly before: string;
  readonly value: string | CompiledRoot;
}

/**
 * One operation, compiled: its rpcs are called with the arguments of each request, and a walk over the messages of their
 * replies writes the JSON of the result. Only the regular way is compiled. Where anything is wrong, methods throw or
 * reject; graphql-js then executes the operation with the replies that have come, and says what is wrong.
 */
export class CompiledOperation {
  readonly #parts: readonly RootPart[];
  readonly #isMutation: boolean;

  /** @throws Error for an operation that is for graphql-js alone */
  constructor(of: CompiledOf) {
    const { operation, schema, rootType, fragments, includes, leaves } = of;
    const isOf = (type: GraphQLObjectType, condition: string): boolean => {
      const named = schema.getType(condition);
      return named === type || (named instanceof GraphQLUnionType && named.getTypes().includes(type));
    };
    const projections = new Projections(schema, { fragments, includes, isOf }, leaves);
    const all = Object.fromEntries(fragments);
    const fields = projections.fields(rootType, [operation.selectionSet]);
    this.#isMutation = operation.operation === "mutation";
    this.#parts = [...fields].map(([key, nodes], at) => ({
      before: `${at === 0 ? "" : ","}${JSON.stringify(key)}:`,
      value: rootOf(key, { nodes, fragments: all }, of, projections),
    }));
  }

  /** Calls the rpcs of a query or mutation. Resolves with the JSON of the data. */
  async data(variables: Variables, operation: Operation): Promise<string> {
    const [only, ...more] = this.#parts;
    let data = "{";
    if (this.#isMutation) {
      for (const part of this.#parts) data += await rootText(part, variables, operation); // One after the other.
    } else if (only !== undefined && more.length === 0) {
      data += await rootText(only, variables, operation);
    } else {
      const texts = this.#parts.map((part) => rootText(part, variables, operation));
      for (const text of await Promise.all(texts)) data += text;
    }
    return `${data}}`;
  }

  /** The replies of a subscription's rpc, which is called when the first is asked for. */
  stream(variables: Variables, operation: Operation): EventStream<Message> {
    const { root, argsOf, selection } = this.#only;
    const method = root.rpc.method as DescMethodServerStreaming; // Subscriptions are.
    return operation.stream(method, root.requestOf(argsOf(variables), selection));
  }

  /** The JSON of the data of one event of a subscription. */
  event(reply: Message, operation: Operation): string | Promise<string> {
    const { root, write, hasNull, before } = this.#only;
    const walk = new ValueWalk(operation);
    walk.text = before;
    walk.value(root.valueOf(reply), write, hasNull);
    walk.text += "}";
    return walk.end();
  }

  get #only(): CompiledRoot & { readonly before: string } {
    const [part] = this.#parts;
    if (part === undefined || typeof part.value === "string")
      throw new TypeError("a subscription has one rpc");
    return part.value;
  }
}

function rootOf(
  key: string,
  { nodes, fragments }: { readonly nodes: readonly FieldNode[] } & Pick<Selection, "fragments">,
  { rootType, roots }: CompiledOf,
  projections: Projections,
): string | CompiledRoot {
  const [node] = nodes;
  const name = node?.name.value ?? "";
  if (name === "__typename") return JSON.stringify(rootType.name);
  const root = roots.get(name);
  const field = rootType.getFields()[name];
  if (node === undefined || root === undefined || field === undefined)
    throw new TypeError(`no rpc gives the field ${name}`);
  return {
    key,
    before: `{${JSON.stringify(key)}:`,
    root,
    argsOf:
      (node.arguments ?? []).length === 0 ? () => none : (variables) => argumentsOf(field, node, variables),
    selection: { fieldNodes: nodes, fragments },
    ...projections.type(field.type, nodes),
  };
}

const none = Object.freeze({});

async function rootText(
  { before, value }: RootPart,
  variables: Variables,
  operation: Operation,
): Promise<string> {
  if (typeof value === "string") return before + value;
  const { root, key, argsOf, selection, write, hasNull } = value;
  const method = root.rpc.method as DescMethodUnary; // Queries and mutations are.
  const reply = await operation.root(key, method, () => root.requestOf(argsOf(variables), selection));
  const walk = new ValueWalk(operation);
  walk.text = before;
  walk.value(root.valueOf(reply), write, hasNull);
  return walk.end();
}
