import {
  create,
  type DescField,
  type DescMethod,
  type DescMethodServerStreaming,
  type Message,
} from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import type { GraphQLFieldConfig, GraphQLResolveInfo } from "graphql";
import { setField } from "../../../core/codec/field-shape.ts";
import { isUnary } from "../../../core/call/handler.ts";
import { toCallError } from "../../../core/errors/errors.ts";
import { InputRefusal } from "./input-refusal.ts";
import { type InputMember, type InputValues, messageReader } from "./input-values.ts";
import type { Inputs } from "./inputs.ts";
import { noReason } from "./leaves.ts";
import type { Operation } from "./operation.ts";
import { type Outputs, readerOf } from "./outputs.ts";
import { type Selection, selectedPaths } from "./read-mask.ts";
import type { RootRpc } from "./rpcs.ts";
import { givenPaths, isMask, maskOf, patchedOf } from "./update-mask.ts";

/** An rpc as a field of GraphQL, compiled. */
export interface RootField {
  readonly rpc: RootRpc;
  /** The arguments, in the order of the contract. */
  readonly members: readonly InputMember[];
  readonly config: GraphQLFieldConfig<unknown, unknown>;
  /** The argument that says how many items a list may have; undefined for none. */
  readonly sizeArgument: string | undefined;
  /** Makes the request of arguments. @throws ConnectError INVALID_ARGUMENT */
  readonly requestOf: RequestOf;
  /** The value of the field that a reply gives; null for none. */
  readonly valueOf: (reply: Message) => unknown;
}

type RequestOf = (args: InputValues, selection: Selection) => Message;

/** A resolver as those of this schema are called. */
type Resolve = (source: unknown, args: InputValues, context: unknown, info: GraphQLResolveInfo) => unknown;

/** Arguments that say how many items a list may have. */
const sizeArguments: ReadonlySet<string> = new Set(["page_size", "first", "limit"]);

/** Compiles the field of an rpc. @throws SetupError */
export function compileRootField(rpc: RootRpc, inputs: Inputs, outputs: Outputs): RootField {
  const { method, responseField } = rpc;
  const patched = patchedOf(method, rpc.routes);
  const members = inputs.members(method.input, patched);
  const output = responseField === undefined ? outputs.message(method.output) : outputs.of(responseField);
  const readReply = responseField === undefined ? undefined : readerOf(responseField);
  const { convert } = output;
  const valueOf = (reply: Message): unknown => {
    const value = readReply === undefined ? reply : readReply(reply);
    return value === null || value === undefined || convert === undefined ? (value ?? null) : convert(value);
  };
  const size = method.input.fields.find(({ name }) => sizeArguments.has(name));
  const requestOf = compileRequest(rpc, members, patched);
  return {
    rpc,
    members,
    sizeArgument: members.find(({ member }) => member === size)?.name,
    requestOf,
    valueOf,
    config: {
      type: output.type,
      args: inputs.args(members),
      ...resolvers(rpc, requestOf, valueOf),
      ...(method.deprecated && { deprecationReason: noReason }),
    },
  };
}

function resolvers(
  { method }: RootRpc,
  requestOf: RequestOf,
  valueOf: (reply: Message) => unknown,
): { resolve: Resolve; subscribe?: Resolve } {
  if (isServerStream(method)) {
    return {
      subscribe: (_source, args, context, info) =>
        (context as Operation).stream(method, requestOf(args, info)), // As `execute` has it.
      resolve: (reply) => valueOf(reply as Message), // As `subscribe` gives it.
    };
  }
  if (!isUnary(method)) throw new TypeError(`${method.toString()} is no rpc of GraphQL`);
  return {
    resolve: async (_source, args, context, info) => {
      const key = info.path.key as string; // The name in the result.
      return valueOf(await (context as Operation).root(key, method, () => requestOf(args, info)));
    },
  };
}

function compileRequest(
  { method, routes, responseField }: RootRpc,
  members: readonly InputMember[],
  patched: DescField | undefined,
): RequestOf {
  const read = messageReader(method.input, () => members);
  const mask = maskOf(method);
  const updated = members.find(({ member }) => member === patched);
  const left = new Set(
    routes
      .flatMap(({ variables }) => variables.map(({ fields }) => fields.at(-1)))
      .filter((field) => field !== undefined),
  );
  const readMask = method.input.fields.find((field) => field.name === "read_mask" && isMask(field));
  return (args, selection) => {
    const request = readOrRefuse(read, args);
    const isGiven = (field: DescField): boolean => {
      const given = readerOf(field)(request);
      return given !== undefined && given !== null;
    };
    if (mask !== undefined && updated !== undefined && !isGiven(mask)) {
      const values = args[updated.name];
      const below = updated.below?.() ?? [];
      const paths = isValues(values) ? [...givenPaths(values, below, left)] : [];
      if (paths.length > 0) setField(request, mask, create(FieldMaskSchema, { paths }));
    }
    if (readMask !== undefined && !isGiven(readMask)) {
      const paths = [...selectedPaths(selection, responseField?.message ?? method.output)];
      if (paths.length > 0) setField(request, readMask, create(FieldMaskSchema, { paths }));
    }
    return request;
  };
}

/** @throws ConnectError INVALID_ARGUMENT */
function readOrRefuse(read: (args: InputValues) => Message, args: InputValues): Message {
  try {
    return read(args);
  } catch (reason) {
    throw reason instanceof InputRefusal ? reason.error : toCallError(reason);
  }
}

function isServerStream(method: DescMethod): method is DescMethodServerStreaming {
  return method.methodKind === "server_streaming";
}

function isValues(value: unknown): value is InputValues {
  return typeof value === "object" && value !== null;
}
