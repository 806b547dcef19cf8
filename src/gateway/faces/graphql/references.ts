import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { GraphQLList, GraphQLNonNull } from "graphql";
import { resource } from "../../../../gen/google/api/resource_pb.ts";
import { field_faces, type Reference as ReferenceOption } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import { type Fields, fieldsOf, messageFactory, setField } from "../../../core/codec/field-shape.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import { resourceOf } from "../../../core/contract/resource-names.ts";
import { isUnary } from "../../../core/call/handler.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { lowerCamel } from "./names.ts";
import type { Operation } from "./operation.ts";
import { type FurtherFields, type Outputs, readerOf } from "./outputs.ts";
import type { Batch, Reference } from "./reference.ts";
import type { RootRpc } from "./rpcs.ts";

/** An rpc that finds messages of a type, with the field of its reply that has them. */
interface Finder {
  readonly method: DescMethodUnary;
  readonly found: DescField | undefined;
}

/** The fields that refer to resources, and the rpcs that find these. */
export class References {
  readonly #rpcs: readonly RootRpc[];
  readonly #methods: ReadonlyMap<string, DescMethod>;
  readonly #resources = new Map<string, DescMessage>();
  readonly #known = new Map<string, Reference>();

  /** @param types what a resource can be @param rpcs those that may be called */
  constructor(types: readonly DescMessage[], rpcs: readonly RootRpc[]) {
    this.#rpcs = rpcs;
    this.#methods = new Map(rpcs.map(({ method }) => [`${method.parent.typeName}.${method.name}`, method]));
    for (const message of types) {
      if (hasOption(message, resource)) this.#resources.set(getOption(message, resource).type, message);
    }
  }

  /** The fields that resolve what fields of a message refer to. @throws SetupError for an option that cannot be */
  fields(outputs: Outputs): FurtherFields {
    const referenceOf = (field: DescField): Reference | undefined => this.#of(field);
    return function* fieldsOfReferences(message, taken) {
      const names = new Set(taken);
      for (const field of message.fields) {
        if (field.scalar !== ScalarType.STRING || field.fieldKind === "map" || !outputs.shows(field))
          continue;
        const reference = referenceOf(field);
        if (reference === undefined) continue;
        const name = nameOf(field, names);
        names.add(name);
        const type = outputs.object(reference.message);
        yield [
          name,
          {
            ...resolverOf(field, reference),
            type: field.fieldKind === "list" ? new GraphQLNonNull(new GraphQLList(type)) : type,
          },
        ];
      }
    };
  }

  #of(field: DescField): Reference | undefined {
    const option = hasOption(field, field_faces) ? getOption(field, field_faces).reference : undefined;
    if (option !== undefined && option.method !== "") return this.#given(field, option);
    const type = resourceOf(field);
    const message = type === undefined ? undefined : this.#resources.get(type);
    if (message === undefined || type === undefined) return undefined;
    let known = this.#known.get(type);
    if (known === undefined) {
      const finder = this.#finder(message);
      if (finder === undefined) return undefined;
      known = this.#make(type, message, finder, "name", this.#batchFinder(message), "names");
      this.#known.set(type, known);
    }
    return known;
  }

  /** By what an option of a field says. */
  #given(field: DescField, option: ReferenceOption): Reference {
    const fail = (reason: string): SetupError =>
      new SetupError(`graphql: reference of ${field.toString()}: ${reason}`);
    const by = option.field === "" ? "name" : option.field;
    const byMany = option.batchField === "" ? "names" : option.batchField;
    const key = [option.method, by, option.batchMethod, byMany].join(" ");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const rpc = this.#rpcs.find(({ method }) => this.#methods.get(option.method) === method);
    const target = rpc?.method;
    if (target === undefined || rpc === undefined || !isUnary(target))
      throw fail(`there is no unary rpc ${option.method} here`);
    checkKey(target, by, false, fail);
    const message = (rpc.responseField ?? singleMessage(target.output))?.message ?? target.output;
    const found = message === target.output ? undefined : (rpc.responseField ?? singleMessage(target.output));
    let batch: Finder | undefined;
    if (option.batchMethod !== "") {
      const method = this.#methods.get(option.batchMethod);
      const list = method && listOf(method.output, message);
      if (method === undefined || !isUnary(method) || list === undefined) {
        throw fail(
          `there is no unary rpc ${option.batchMethod} here that gives a list of ${message.typeName}`,
        );
      }
      checkKey(method, byMany, true, fail);
      batch = { method, found: list };
    }
    const made = this.#make(key, message, { method: target, found }, by, batch, byMany);
    this.#known.set(key, made);
    return made;
  }

  /** The rpc that takes a name alone and gives the message. */
  #finder(message: DescMessage): Finder | undefined {
    for (const { method, isSafe, responseField } of this.#rpcs) {
      if (!isSafe || !isUnary(method) || !takesNameAlone(method)) continue;
      if (method.output === message) return { method, found: undefined };
      if (responseField?.message === message && responseField.fieldKind === "message")
        return { method, found: responseField };
    }
    return undefined;
  }

  #batchFinder(message: DescMessage): Finder | undefined {
    for (const { method, isSafe } of this.#rpcs) {
      if (!isSafe || !isUnary(method) || !method.name.startsWith("BatchGet")) continue;
      const names = method.input.fields.find(({ name }) => name === "names");
      if (names?.fieldKind !== "list" || names.scalar !== ScalarType.STRING) continue;
      const found = listOf(method.output, message);
      if (found !== undefined) return { method, found };
    }
    return undefined;
  }

  #make(
    key: string,
    message: DescMessage,
    one: Finder,
    by: string,
    batch: Finder | undefined,
    byMany: string,
  ): Reference {
    const { found } = one;
    return {
      key,
      message,
      one: {
        method: one.method,
        request: requestOf(one.method, by, (name) => name),
        read: (reply) => (found === undefined ? reply : (readerOf(found)(reply) as Message | undefined)), // A field of messages.
      },
      batch: batch && batchOf(message, batch, byMany),
    };
  }
}

function batchOf(message: DescMessage, { method, found }: Finder, byMany: string): Batch {
  const keyField = keyFieldOf(message);
  const parent = method.input.fields.find(
    ({ name, scalar }) => name === "parent" && scalar === ScalarType.STRING,
  );
  const request = requestOf(method, byMany, (names: readonly string[]) => [...names]);
  return {
    method,
    request: (names) => {
      const made = request(names);
      if (parent !== undefined) setField(made, parent, commonParent(names));
      return made;
    },
    read: (reply) => (found === undefined ? [] : (fieldsOf(reply)[found.localName] as Message[])), // A list of messages.
    keyOf: keyField && ((one) => (one as unknown as Fields)[keyField.localName]), // Any message is such an object.
  };
}

/** The field with the name of a resource. */
function keyFieldOf(message: DescMessage): DescField | undefined {
  const given = hasOption(message, resource) ? getOption(message, resource).nameField : "";
  const name = given === "" ? "name" : given;
  return message.fields.find((field) => field.name === name && field.fieldKind === "scalar");
}

/** The parent of all of these resource names (AIP-231); `-` stands for segments in which they differ (AIP-159). */
export function commonParent(names: readonly string[]): string {
  const parents = names.map((name) => name.split("/").slice(0, -2));
  const [first = []] = parents;
  if (parents.some(({ length }) => length !== first.length)) return "-";
  return first
    .map((segment, at) => (parents.every((parent) => parent[at] === segment) ? segment : "-"))
    .join("/");
}

function resolverOf(
  field: DescField,
  reference: Reference,
): { resolve: (source: unknown, args: unknown, context: unknown) => unknown } {
  const read = readerOf(field);
  const load = (key: unknown, context: unknown): unknown =>
    typeof key !== "string" || key === "" ? null : (context as Operation).load(reference, key); // As `execute` has it.
  if (field.fieldKind !== "list") return { resolve: (source, _args, context) => load(read(source), context) };
  return {
    resolve: (source, _args, context) => (read(source) as readonly string[]).map((key) => load(key, context)), // As the field is.
  };
}

/** The option's name, else the field's without what says that it is a name. */
function nameOf(field: DescField, taken: ReadonlySet<string>): string {
  const given = hasOption(field, field_faces) ? (getOption(field, field_faces).reference?.name ?? "") : "";
  const own = field.name.replace(/_(?:name|id)s?$/, "");
  const name = given !== "" ? given : lowerCamel(own);
  const isFree = !taken.has(name);
  if (isFree) return name;
  const behind = `${lowerCamel(field.name)}Resource`;
  if (given === "" && !taken.has(behind)) return behind;
  throw new SetupError(
    `graphql: ${field.parent.toString()} has a field ${name} already: set (ts_ms.v1.field_faces).reference.name of ${field.name}`,
  );
}

function takesNameAlone({ input }: DescMethod): boolean {
  const [name] = input.fields;
  const isName = name?.name === "name" && name.fieldKind === "scalar" && name.scalar === ScalarType.STRING;
  return (
    isName && input.fields.slice(1).every((field) => field.name === "read_mask" && !rolesOf(field).required)
  );
}

/** The only field that is a message. */
function singleMessage(message: DescMessage): DescField | undefined {
  const [field, ...more] = message.fields;
  return more.length === 0 && field?.fieldKind === "message" ? field : undefined;
}

function listOf(output: DescMessage, message: DescMessage): DescField | undefined {
  return output.fields.find((field) => field.fieldKind === "list" && field.message === message);
}

function checkKey(
  method: DescMethod,
  name: string,
  isList: boolean,
  fail: (reason: string) => SetupError,
): void {
  const field = method.input.fields.find((one) => one.name === name);
  const fits =
    field !== undefined &&
    field.scalar === ScalarType.STRING &&
    field.fieldKind === (isList ? "list" : "scalar");
  if (!fits) throw fail(`${method.input.toString()} has no ${isList ? "list of texts" : "text"} ${name}`);
}

function requestOf<T>(method: DescMethod, by: string, valueOf: (key: T) => unknown): (key: T) => Message {
  const create = messageFactory(method.input);
  const field = method.input.fields.find(({ name }) => name === by);
  return (key) => {
    const request = create();
    if (field !== undefined) setField(request, field, valueOf(key));
    return request;
  };
}
