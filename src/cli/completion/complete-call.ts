import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  ScalarType,
} from "@bufbuild/protobuf";
import { readCommandLine } from "../../core/config/flags.ts";
import { callContracts } from "../call/call-contracts.ts";
import { callFlags } from "../call/call-flags.ts";
import { openTransport, readTarget } from "../call/call-target.ts";
import { findRpc } from "../call/find-rpc.ts";
import { rpcName } from "../../core/call/service.ts";
import type { Candidate, Completion } from "./candidates.ts";

/** A line of `ts-ms call` that is completed. */
export interface CallLine {
  /** The words behind `call` and before the current one. */
  readonly before: readonly string[];
  /** Those of them that are no flags. */
  readonly args: readonly string[];
  readonly current: string;
  /** How long reflection may take, in milliseconds. */
  readonly maxMs: number;
}

/**
 * Completes the name of an rpc, or a field of its request, by the contracts that the line names.
 *
 * @throws Error if it names none, or they do not come in time
 */
export async function completeCall({ before, args, current, maxMs }: CallLine): Promise<Completion> {
  const line = readCommandLine("ts-ms", callFlags, before, [
    { name: "", help: "", isOptional: true, isRepeatable: true },
  ]);
  const [target, rpc] = args;
  if (line.kind !== "run" || target === undefined) return { candidates: [] };
  const to = readTarget(target, line.flags);
  const open = await openTransport(to, line.flags);
  try {
    const { services } = await callContracts(to, line.flags, rpc, open.transport, AbortSignal.timeout(maxMs));
    if (rpc === undefined) return { candidates: rpcNames(services, current) };
    const found = findRpc(services, rpc);
    return { candidates: found.kind === "rpc" ? fieldsOf(found.input, current) : [] };
  } finally {
    open.close();
  }
}

/** Short names of rpcs where they are unique, full ones where those are asked for or needed. */
function rpcNames(services: readonly DescService[], current: string): readonly Candidate[] {
  const methods = services.flatMap((service) => service.methods);
  const count = Map.groupBy(methods, ({ name }) => name);
  const isFull = /[./]/.test(current);
  return methods.map((method) => {
    const { name } = method;
    const word = isFull || (count.get(name)?.length ?? 0) > 1 ? rpcName(method) : name;
    return { word, meaning: meaningOf(method) };
  });
}

function meaningOf({ input, output, methodKind }: DescMethod): string {
  const kind = methodKind === "unary" ? "" : `${methodKind.replaceAll("_", " ")}, `;
  return `${kind}${input.name} → ${output.name}`;
}

/** The fields at the place of a path: `name=`, `book.`, and values where there are few. */
function fieldsOf(root: DescMessage, current: string): readonly Candidate[] {
  const equals = current.indexOf("=");
  const path = (equals === -1 ? current : current.slice(0, equals)).split(".");
  let message: DescMessage | undefined = root;
  for (const step of path.slice(0, -1)) message = fieldAt(message, step)?.message;
  if (equals !== -1) {
    const values = valuesOf(fieldAt(message, path.at(-1) ?? ""));
    return values.map((value) => ({ word: `${current.slice(0, equals)}=${value}`, meaning: "" }));
  }
  const prefix = path
    .slice(0, -1)
    .map((step) => `${step}.`)
    .join("");
  return (message?.fields ?? []).map((field) => ({
    word: `${prefix}${field.jsonName}${endOf(field)}`,
    meaning: field.message?.typeName ?? field.enum?.typeName ?? "",
  }));
}

function fieldAt(message: DescMessage | undefined, name: string): DescField | undefined {
  return message?.fields.find((field) => field.jsonName === name || field.name === name);
}

/** What stands behind the name of a field: types of google.protobuf are written as one value. */
function endOf({ fieldKind, message }: DescField): string {
  if (fieldKind === "map") return "[";
  return message === undefined || message.typeName.startsWith("google.protobuf.") ? "=" : ".";
}

function valuesOf(field: DescField | undefined): readonly string[] {
  if (field?.enum !== undefined) return field.enum.values.map(({ name }) => name);
  return field?.scalar === ScalarType.BOOL ? ["true", "false"] : [];
}
