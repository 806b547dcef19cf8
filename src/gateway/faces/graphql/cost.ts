import {
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLUnionType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";
import type { RootField } from "./root-field.ts";

/** A type with fields, or a choice of them. */
type Composite = GraphQLObjectType | GraphQLUnionType;

/** What a call of an rpc counts where the contract does not say it. */
const rpcCost = 10;

/** What the cost of an operation depends on. */
export interface CostOf {
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly root: GraphQLObjectType;
  readonly fields: ReadonlyMap<string, RootField>;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly listSize: number;
}

/** The points of an operation that is valid: rpcs, and objects times the sizes of the lists above them. */
export function costOf({ operation, fragments, root, fields, variables, listSize }: CostOf): number {
  const known = new Map<string, number>();
  const hasDefaults = operation.variableDefinitions?.some(({ defaultValue }) => defaultValue !== undefined);
  const given = hasDefaults === true ? { ...defaultsOf(operation), ...variables } : variables;
  /** The objects of a selection. @param first how many items the first list has; undefined below it */
  const objects = (set: SelectionSetNode, type: Composite, first: number | undefined): number => {
    let sum = 0;
    for (const node of set.selections) {
      if (node.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(node.name.value);
        if (fragment === undefined) continue;
        const key = `${node.name.value} ${type.name} ${first}`;
        let cost = known.get(key);
        if (cost === undefined)
          known.set(
            key,
            (cost = objects(fragment.selectionSet, inside(fragment.typeCondition.name.value, type), first)),
          );
        sum += cost;
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        const { typeCondition } = node;
        sum += objects(
          node.selectionSet,
          typeCondition === undefined ? type : inside(typeCondition.name.value, type),
          first,
        );
      } else sum += field(node, type, first);
    }
    return sum;
  };
  const field = (node: FieldNode, type: Composite, first: number | undefined): number => {
    if (node.selectionSet === undefined || node.name.value.startsWith("__") || !("getFields" in type))
      return 0;
    const found = type.getFields()[node.name.value];
    return found === undefined ? 0 : values(node.selectionSet, found.type, first);
  };
  const values = (set: SelectionSetNode, type: GraphQLOutputType, first: number | undefined): number => {
    const named = getNamedType(type);
    if (!("getFields" in named) && !("getTypes" in named)) return 0;
    const isList = listIn(type);
    // The size that the request asks for is that of the first list.
    return isList
      ? (first ?? listSize) * (1 + objects(set, named as Composite, undefined))
      : 1 + objects(set, named as Composite, first); // No interfaces here.
  };
  const rootCost = (set: SelectionSetNode): number => {
    let sum = 0;
    for (const node of set.selections) {
      if (node.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(node.name.value);
        if (fragment !== undefined) sum += rootCost(fragment.selectionSet);
      } else if (node.kind === Kind.INLINE_FRAGMENT) sum += rootCost(node.selectionSet);
      else {
        const found = fields.get(node.name.value);
        if (found === undefined) continue;
        const { face } = found.rpc;
        const type = root.getFields()[node.name.value]?.type;
        const size =
          sizeOf(node, found.sizeArgument, given) ?? (face && face.listSize > 0 ? face.listSize : listSize);
        sum += face !== undefined && face.cost > 0 ? face.cost : rpcCost;
        if (node.selectionSet !== undefined && type !== undefined)
          sum += values(node.selectionSet, type, size);
      }
    }
    return sum;
  };
  return rootCost(operation.selectionSet);
}

/** The object of a union that a fragment is about. */
function inside(name: string, type: Composite): Composite {
  if (type.name === name || !("getTypes" in type)) return type;
  return type.getTypes().find((one) => one.name === name) ?? type;
}

function listIn(type: GraphQLOutputType): boolean {
  if (type instanceof GraphQLNonNull) return listIn(type.ofType as GraphQLOutputType); // No non-null is in another.
  return type instanceof GraphQLList;
}

/** The defaults of variables that are whole numbers. */
function defaultsOf({ variableDefinitions = [] }: OperationDefinitionNode): Readonly<Record<string, number>> {
  return Object.fromEntries(
    variableDefinitions.flatMap(({ variable, defaultValue }) =>
      defaultValue?.kind === Kind.INT ? [[variable.name.value, Number(defaultValue.value)]] : [],
    ),
  );
}

/** The number of an argument, if it is above 0. */
function sizeOf(
  node: FieldNode,
  argument: string | undefined,
  variables: Readonly<Record<string, unknown>>,
): number | undefined {
  const value = node.arguments?.find(({ name }) => name.value === argument)?.value;
  const given =
    value?.kind === Kind.INT
      ? Number(value.value)
      : value?.kind === Kind.VARIABLE
        ? Number(variables[value.name.value])
        : 0;
  return given > 0 ? given : undefined;
}
