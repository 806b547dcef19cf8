import { createHash, type Hash } from "node:crypto";
import { type DescEnum, type DescMessage, type DescMethod, toBinary } from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  FileOptionsSchema,
  MethodDescriptorProtoSchema,
  ServiceOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import type { ConsumedRpc } from "./contract.ts";

/** What rpcs and their messages are, by their descriptors: these are compared as often as contracts are loaded. */
const digests = new WeakMap<DescMethod, string>();

/**
 * Whether two lists are the same rpcs with the same settings, in any order. Contracts that are loaded again have other
 * descriptors each time: they are compared by what they say of the rpcs, and of all messages and enums that these need.
 */
export function isSameContract(some: readonly ConsumedRpc[], others: readonly ConsumedRpc[]): boolean {
  if (some.length !== others.length) return false;
  const byName = new Map(others.map((rpc) => [rpc.name, rpc]));
  return some.every((rpc) => {
    const other = byName.get(rpc.name);
    return other !== undefined && settingsOf(rpc) === settingsOf(other) && isSameMethod(rpc, other);
  });
}

function isSameMethod({ method }: ConsumedRpc, { method: other }: ConsumedRpc): boolean {
  return method === other || digestOf(method) === digestOf(other);
}

/** What contract and overrides say together of an rpc. */
function settingsOf(rpc: ConsumedRpc): string {
  const { kind, topic, group, type, key, ordering, batch, timeoutMs, attempts, outcomes, oneWay, framing } =
    rpc;
  const rest = [batch?.max, batch?.waitMs, timeoutMs, attempts, [...outcomes], oneWay, framing];
  return JSON.stringify([kind, topic, group, type, key?.path, ordering, ...rest]);
}

function digestOf(method: DescMethod): string {
  const known = digests.get(method);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  const { options } = method.parent.proto;
  add(hash, method.parent.typeName, toBinary(MethodDescriptorProtoSchema, method.proto));
  if (options !== undefined) add(hash, "options", toBinary(ServiceOptionsSchema, options));
  for (const desc of typesOf(method)) addType(hash, desc);
  const digest = hash.digest("base64");
  digests.set(method, digest);
  return digest;
}

/** The messages and enums that an rpc needs, in an order that the contract alone decides. */
function typesOf({ input, output }: DescMethod): Iterable<DescMessage | DescEnum> {
  const found = new Set<DescMessage | DescEnum>([input, output]);
  for (const desc of found) {
    if (desc.kind === "enum") continue;
    for (const field of desc.fields) {
      if (field.message !== undefined) found.add(field.message);
      if (field.enum !== undefined) found.add(field.enum);
    }
  }
  return found;
}

function addType(hash: Hash, desc: DescMessage | DescEnum): void {
  const { edition, proto } = desc.file;
  add(hash, `${desc.typeName} ${edition}`, bytesOf(desc));
  // Those of a file are the defaults of what is in it.
  if (proto.options !== undefined) add(hash, "file", toBinary(FileOptionsSchema, proto.options));
}

function bytesOf(desc: DescMessage | DescEnum): Uint8Array {
  return desc.kind === "enum"
    ? toBinary(EnumDescriptorProtoSchema, desc.proto)
    : toBinary(DescriptorProtoSchema, desc.proto);
}

/** Adds a part, with its length, so that no two lists of parts are the same bytes. */
function add(hash: Hash, name: string, bytes: Uint8Array): void {
  hash.update(`${name} ${bytes.length}\n`).update(bytes);
}
