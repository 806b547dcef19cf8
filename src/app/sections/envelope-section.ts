import type { DescService } from "@bufbuild/protobuf";
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
import { followInstead, KeyFile } from "./key-file.ts";
import type { SectionKit, SectionParts } from "./section.ts";

const none: EnvelopeKeys = { decryption: new Map(), verification: new Map(), recipients: new Map() };

/** Encrypted JSON bodies: of which rpcs they must be, and the keys. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  let current = await usedBy(kit, kit.config);
  let services: readonly DescService[] | undefined;
  const gate: Gate = {
    name: "envelope",
    admit: (call: CallHead) => current.gate?.admit(call), // For which rpcs may change at a reload.
  };
  return {
    gates: { envelope: [gate] },
    check(all) {
      checkNames(kit, current.selectors, all);
      services = all;
    },
    async start() {
      for (const file of current.files) await named(kit, async () => file?.follow(kit));
    },
    stop() {
      for (const file of current.files) file?.stop();
    },
    policyOf: (method) => ({
      envelope: current.selectors.some((one) => one.matches(method)) ? "required" : "",
    }),
    async prepare({ next }) {
      const after = await usedBy(kit, next);
      if (services !== undefined) checkNames(kit, after.selectors, services);
      return () => {
        followInstead(kit, current.files, after.files);
        current = after;
      };
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
  readonly files: readonly (KeyFile<unknown> | undefined)[];
}

async function usedBy(kit: SectionKit, { envelope }: Config): Promise<Used> {
  if (envelope === undefined) return { gate: undefined, selectors: [], files: [] };
  const { rpc, keysFile, encryptTo } = envelope;
  if (rpc.length > 0 && keysFile === undefined) {
    throw kit.mistake(
      "envelope.keys_file",
      "must be set: without keys no body of envelope.rpc can be opened",
    );
  }
  return named(kit, async () => {
    await loadJose();
    const keys = keysFile === undefined ? undefined : await KeyFile.read(keysFile, readEnvelopeKeys);
    const to = encryptTo === undefined ? undefined : await KeyFile.read(encryptTo, readRecipient);
    const gate = envelopeGate({ keys: () => keys?.value ?? none, rpc, encryptTo: () => to?.value });
    return { gate, selectors: rpc.map((text) => new Selector(text)), files: [keys, to] };
  });
}

/** Lets mistakes in files name the section. */
async function named<T>({ mistake }: SectionKit, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw mistake("envelope", error instanceof Error ? error.message : String(error));
  }
}
