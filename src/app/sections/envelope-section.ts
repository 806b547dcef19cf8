import type { DescService } from "@bufbuild/protobuf";
import { readFile } from "node:fs/promises";
import type { EnvelopeConfig } from "../../../gen/ts_ms/config/v1/signatures_pb.ts";
import type { CallHead } from "../../core/admission/call-head.ts";
import type { Gate } from "../../core/admission/gate.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { Selector } from "../../core/policy/selector.ts";
import { envelopeGate } from "../../core/security/envelope/envelope-gate.ts";
import {
  readEnvelopeKeys,
  readRecipient,
  type EnvelopeKeys,
} from "../../core/security/envelope/envelope-keys.ts";
import { loadJose } from "../../core/security/jose.ts";
import type { SectionKit, SectionParts } from "./section.ts";

const none: EnvelopeKeys = { decryption: new Map(), verification: new Map(), recipients: new Map() };

/** Encrypted JSON bodies: of which rpcs they must be, and the keys. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  let current = await usedBy(kit, kit.config);
  let services: readonly DescService[] | undefined;
  const gate: Gate = {
    name: "envelope",
    admit: (call: CallHead) => current.gate?.admit(call), // Which keys there are may change at a reload.
  };
  return {
    gates: { envelope: [gate] },
    check(all) {
      checkNames(kit, current.selectors, all);
      services = all;
    },
    policyOf: (method) => ({ envelope: current.selectors.some((one) => one.matches(method)) ? "required" : "" }),
    async prepare({ next }) {
      const after = await usedBy(kit, next); // The files may be others under the same names.
      if (services !== undefined) checkNames(kit, after.selectors, services);
      return () => void (current = after);
    },
  };
}

/** A misspelt name would let plain bodies pass. */
function checkNames(
  { mistake }: SectionKit,
  selectors: readonly Selector[],
  services: readonly DescService[],
): void {
  const [unmatched] = selectors.flatMap((selector) => selector.unmatched(services));
  if (unmatched !== undefined) throw mistake("envelope.rpc", `no service has the rpc ${unmatched}`);
}

interface Used {
  /** Undefined where the configuration has no section of envelopes any more. */
  readonly gate: Gate | undefined;
  readonly selectors: readonly Selector[];
}

async function usedBy({ mistake }: SectionKit, { envelope }: Config): Promise<Used> {
  if (envelope === undefined) return { gate: undefined, selectors: [] };
  const { rpc, keysFile } = envelope;
  if (rpc.length > 0 && keysFile === undefined) {
    throw mistake("envelope.keys_file", "must be set: without keys no body of envelope.rpc can be opened");
  }
  try {
    await loadJose();
    const [keys, encryptTo] = await keysOf(envelope);
    return {
      gate: envelopeGate({ keys: () => keys, rpc, encryptTo: () => encryptTo }),
      selectors: rpc.map((text) => new Selector(text)),
    };
  } catch (error) {
    throw mistake("envelope", error instanceof Error ? error.message : String(error));
  }
}

async function keysOf({ keysFile, encryptTo }: EnvelopeConfig) {
  const keys = keysFile === undefined ? none : readEnvelopeKeys(await readFile(keysFile, "utf8"), keysFile);
  const to = encryptTo === undefined ? undefined : readRecipient(await readFile(encryptTo, "utf8"), encryptTo);
  return [keys, to] as const;
}
