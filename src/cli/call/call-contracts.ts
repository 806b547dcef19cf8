import type { Transport } from "@connectrpc/connect";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { contractSource, reflectContracts, warned } from "../contracts/load-contracts.ts";
import { speaksTls } from "../contracts/target-flags.ts";
import type { CallFlagValues } from "./call-flags.ts";
import { type CallTarget, grpcTargetOf } from "./call-target.ts";

/**
 * The contracts of a call: those of flags, of the server itself, and for an HTTP one those of its console, or of the gRPC
 * server at the same address.
 *
 * @param rpc the name that is looked for in them
 * @throws SetupError that says why there are none
 */
export async function callContracts(
  to: CallTarget,
  flags: CallFlagValues,
  rpc: string | undefined,
  transport: Transport,
  signal: AbortSignal,
): Promise<Schema> {
  const source = contractSource(flags);
  if (source !== undefined) return warned(await source.load(signal));
  // A full name spares the contracts of all other services.
  const [, service] = /^\/?([\w.]+\.\w+)\/\w+$/.exec(rpc ?? "") ?? [];
  const only = flags.service.length === 0 && service !== undefined ? [service] : flags.service;
  if (to.protocol === "grpc" && flags.contractsOf === undefined) {
    return reflectContracts({ target: to.name, transport, only, isTls: speaksTls(flags), signal });
  }
  if (flags.contractsOf === undefined) {
    const { consoleContracts } = await import("./console-contracts.ts");
    const found = await consoleContracts(to, flags, only, signal);
    if (found !== undefined) return found;
  }
  const target = flags.contractsOf ?? grpcTargetOf(to);
  const [{ dial }, { targetDialOptions }] = await Promise.all([
    import("../../core/dial.ts"),
    import("../contracts/target-flags.ts"),
  ]);
  const options = targetDialOptions(flags);
  const tls = flags.contractsOf === undefined && to.isHttps && options.tls === false ? true : options.tls;
  await using other = dial(target, { ...options, ...(tls === undefined ? {} : { tls }) });
  const isTls = tls !== false && tls !== undefined;
  try {
    return await reflectContracts({ target, transport: other, only, isTls, signal });
  } catch (error) {
    if (flags.contractsOf !== undefined || !(error instanceof SetupError)) throw error;
    throw new SetupError(
      `${to.name} gives no contracts, by its console at /docs or by gRPC: say where they are, --proto FILE, --descriptors FILE, ` +
        "or --contracts-of HOST:PORT, the gRPC server behind it",
      { cause: error },
    );
  }
}
