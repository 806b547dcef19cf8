import type { Transport } from "@connectrpc/connect";
import { FlagError } from "../../core/errors/setup-error.ts";
import {
  descriptorSetSource,
  protoSource,
  type Schema,
  type SchemaSource,
} from "../../core/schema/schema.ts";
import type { ContractFlagValues } from "./contract-flags.ts";
import { explainNoReflection } from "./explain-target.ts";
import { speaksTls, targetDialOptions, type TargetFlagValues } from "./target-flags.ts";

/** The source of contracts that flags name; undefined where they leave it to reflection. */
export function contractSource(flags: ContractFlagValues): SchemaSource | undefined {
  const { descriptors, proto, protoPath, service } = flags;
  if (descriptors.length > 0) return descriptorSetSource(descriptors, service);
  if (proto.length > 0) return protoSource(proto, protoPath, service);
  return undefined;
}

/**
 * The contracts that flags or the reflection of a server give; what is left out is said on standard error.
 *
 * @param target the server that is asked where flags name no source
 * @throws FlagError if nothing says where contracts are
 * @throws SetupError naming what cannot be read, or why the server gives none
 */
export async function loadContracts(
  flags: ContractFlagValues & TargetFlagValues,
  target: string | undefined,
): Promise<Schema> {
  const source = contractSource(flags);
  const { signal } = new AbortController();
  if (source !== undefined) return warned(await source.load(signal));
  if (target === undefined) {
    throw new FlagError(
      "nothing says where the contracts are: give --proto FILE, --descriptors FILE, or a TARGET whose reflection has them",
    );
  }
  const { dial } = await import("../../core/dial.ts");
  await using transport = dial(target, targetDialOptions(flags));
  const isTls = speaksTls(flags);
  // The connection stays until then.
  return await reflectContracts({ target, transport, only: flags.service, isTls, signal });
}

/** A server that is asked for its contracts. */
export interface ReflectedServer {
  /** Its name, for errors. */
  readonly target: string;
  readonly transport: Transport;
  /** Full names of the services to load; empty for all. */
  readonly only: readonly string[];
  readonly isTls: boolean;
  readonly signal: AbortSignal;
}

/** The contracts that a server gives by reflection. @throws SetupError that says why it gives none */
export async function reflectContracts(server: ReflectedServer): Promise<Schema> {
  const { target, transport, only, isTls, signal } = server;
  const { reflectionSource } = await import("../../core/schema/reflection-source.ts");
  try {
    return warned(await reflectionSource(transport, only).load(signal));
  } catch (error) {
    throw explainNoReflection(error, target, isTls);
  }
}

/** The schema, after its warnings have been printed on standard error. */
export function warned(schema: Schema): Schema {
  for (const warning of schema.warnings ?? []) process.stderr.write(`warning: ${warning}\n`);
  return schema;
}
