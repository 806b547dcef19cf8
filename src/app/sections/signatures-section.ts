import type { DescService } from "@bufbuild/protobuf";
import type { Gate } from "../../core/admission/gate.ts";
import type { CallHead } from "../../core/admission/call-head.ts";
import { loadPeer } from "../../core/config/optional-peer.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { Selector } from "../../core/policy/selector.ts";
import { LocalReplayStore, RedisReplayStore, type ReplayStore } from "../../core/security/replay.ts";
import { followInstead, KeyFile } from "./key-file.ts";
import { redisOf } from "./redis-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Calls that must be signed: which, and with which keys. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config } = kit;
  const isShared = config.signatures?.replayStore === "redis";
  const replay = isShared ? new RedisReplayStore(redisOf(kit)) : new LocalReplayStore();
  let current = await usedBy(kit, config, replay);
  let services: readonly DescService[] | undefined;
  const gate: Gate = {
    name: "signatures",
    admit(call: CallHead) {
      // Which rpcs it concerns may change at a reload.
      if (current.gate?.concerns?.(call.method) === true) return current.gate.admit(call);
    },
  };
  return {
    gates: { signature: [gate] },
    check(all) {
      checkNames(kit, current.selectors, all);
      services = all;
    },
    async start() {
      await named(kit, async () => current.file?.follow(kit));
    },
    stop: () => current.file?.stop(),
    policyOf: (method) => ({ signature: current.gate?.concerns?.(method) === true ? "required" : "" }),
    async prepare({ next }) {
      const after = await usedBy(kit, next, replay);
      if (services !== undefined) checkNames(kit, after.selectors, services);
      return () => {
        followInstead(kit, [current.file], [after.file]);
        current = after;
      };
    },
  };
}

/** A misspelt name would let calls pass that are not signed. */
function checkNames(
  { mistake }: SectionKit,
  selectors: readonly Selector[],
  services: readonly DescService[],
): void {
  const [unmatched] = selectors.flatMap((selector) => selector.unmatched(services));
  if (unmatched !== undefined) throw mistake("signatures.verify.rpc", `no service has the rpc ${unmatched}`);
}

interface Used {
  /** Undefined where no call has to be signed. */
  readonly gate: Gate | undefined;
  readonly selectors: readonly Selector[];
  readonly file: KeyFile<unknown> | undefined;
}

async function usedBy(kit: SectionKit, { signatures }: Config, replay: ReplayStore): Promise<Used> {
  const verify = signatures?.verify;
  if (verify === undefined) return { gate: undefined, selectors: [], file: undefined };
  const { keysFile, rpc, components, maxAge, streams } = verify;
  return named(kit, async () => {
    const { signatureGate } = await loadPeer(
      "http-message-sig",
      "the key signatures",
      () => import("../../core/security/signatures/signature-gate.ts"),
    );
    const { readSignatureKeys } = await import("../../core/security/signatures/signature-keys.ts");
    const file = await KeyFile.read(keysFile, readSignatureKeys);
    const gate = signatureGate({
      keys: () => file.value,
      rpc,
      components,
      maxAgeMs: maxAge,
      streams: streams === "headers" ? "headers" : "deny",
      replay,
    });
    return { gate, selectors: rpc.map((text) => new Selector(text)), file };
  });
}

/** Lets mistakes in files name the section. */
async function named<T>({ mistake }: SectionKit, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw mistake("signatures.verify", error instanceof Error ? error.message : String(error));
  }
}
