import type { DialedTransport } from "../../core/dial.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import {
  descriptorSetSource,
  protoSource,
  type Schema,
  type SchemaSource,
} from "../../core/schema/schema.ts";
import type { ContractFlagValues } from "./contract-flags.ts";
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
  if (source !== undefined) return warned(await source.load(new AbortController().signal));
  if (target === undefined) {
    throw new FlagError(
      "nothing says where the contracts are: give --proto FILE, --descriptors FILE, or a TARGET whose reflection has them",
    );
  }
  const { dial } = await import("../../core/dial.ts");
  await using transport = dial(target, targetDialOptions(flags));
  return await reflectContracts(flags, target, transport); // The connection stays until then.
}

/** The contracts that the server behind `transport` gives by reflection. @throws SetupError that says why it has none */
export async function reflectContracts(
  flags: ContractFlagValues & TargetFlagValues,
  target: string,
  transport: DialedTransport,
): Promise<Schema> {
  const { reflectionSource } = await import("../../core/schema/reflection-source.ts");
  try {
    return warned(await reflectionSource(transport, flags.service).load(new AbortController().signal));
  } catch (error) {
    const { explainNoReflection } = await import("./explain-target.ts");
    throw explainNoReflection(error, target, speaksTls(flags));
  }
}

function warned(schema: Schema): Schema {
  for (const warning of schema.warnings ?? []) process.stderr.write(`warning: ${warning}\n`);
  return schema;
}
