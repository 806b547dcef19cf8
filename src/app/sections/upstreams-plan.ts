import type { DialOptions } from "../../core/dial.ts";
import type { Catalog } from "../../core/discovery/catalog.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { SelectedPolicy } from "../../core/policy/method-policy.ts";
import type { TrafficRule } from "../../core/traffic/traffic-rule.ts";
import { Upstreams } from "../../gateway/upstreams/upstreams.ts";
import type { UpstreamInit } from "../../gateway/upstreams/upstreams-options.ts";
import { policyInits } from "./policy-inits.ts";
import type { SectionKit } from "./section.ts";
import { checkTraffic, trafficMistake, trafficRules } from "./traffic-rules.ts";
import { keyOf, upstreamInits } from "./upstream-inits.ts";

/** What a configuration says about upstreams, checked. */
export interface UpstreamsPlan {
  readonly inits: Readonly<Record<string, UpstreamInit>>;
  /** Of every upstream. */
  readonly policies: readonly SelectedPolicy[];
  readonly traffic: readonly TrafficRule[];
  /** Options of `dial` for every upstream. */
  readonly dial: Partial<DialOptions>;
  /** Whether a catalog finds further upstreams. */
  readonly isOpen: boolean;
}

/**
 * Reads and checks what a configuration says about upstreams. Nothing is connected.
 *
 * @throws what `mistake` returns, naming the key that cannot be used
 */
export async function planOf({ config, mistake }: SectionKit): Promise<UpstreamsPlan> {
  const isOpen = config.discovery?.catalog !== undefined;
  const inits = upstreamInits(config, mistake);
  const names = Object.keys(inits);
  const policies = policyInits(config.policies, "policies", mistake);
  if (names.length === 0 && !isOpen) {
    const [key, rules] =
      config.traffic.length > 0 ? (["traffic", "rules"] as const) : (["policies", "policies"] as const);
    throw mistake(key, `${rules} are for upstreams, and there is none: name one in upstreams`);
  }
  const dial = { maxMessageBytes: config.grpc.maxSendMsgSize };
  for (const [name, init] of Object.entries(inits)) checkInit(name, { ...dial, ...init }, mistake);
  checkTraffic(config.traffic, names, isOpen, mistake);
  const plan = { inits, policies, traffic: trafficRules(config.traffic), dial, isOpen };
  await checkWhole(plan, mistake);
  return plan;
}

/** What finds further upstreams; undefined for nothing. @throws what `mistake` returns */
export async function catalogOf({ config, mistake }: SectionKit): Promise<Catalog | undefined> {
  const catalog = config.discovery?.catalog;
  if (catalog === undefined) return undefined;
  const { consulTag, k8sSelector } = catalog;
  const key = "discovery.catalog";
  if ((consulTag === undefined) === (k8sSelector === undefined)) {
    throw mistake(key, "takes one of consul_tag and k8s_selector");
  }
  try {
    if (consulTag !== undefined) {
      const { consulCatalog } = await import("../../core/discovery/consul/consul-catalog.ts");
      return consulCatalog({ tag: consulTag });
    }
    const { kubernetesCatalog } = await import("../../core/discovery/kubernetes/kubernetes-catalog.ts");
    return kubernetesCatalog({ labelSelector: k8sSelector ?? "" });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw mistake(consulTag === undefined ? `${key}.k8s_selector` : `${key}.consul_tag`, error.message);
  }
}

/** @throws what `mistake` returns, for an upstream that cannot be dialled so */
function checkInit(name: string, { contract, ...init }: UpstreamInit, mistake: SectionKit["mistake"]): void {
  try {
    const own =
      typeof contract === "object" && "sameAs" in contract ? "reflection" : (contract ?? "reflection");
    new Upstreams({ [name]: { ...init, contract: own } }).close();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    const text = error.message
      .replace(/^dial: the option /, "")
      .replace(/^Upstreams: the upstream "[^"]*" /, "");
    throw mistake(text.startsWith("cannot dial") ? `${keyOf(name)}.target` : keyOf(name), text);
  }
}

/** @throws what `mistake` returns, for rules that cannot be used with these upstreams */
async function checkWhole(plan: UpstreamsPlan, mistake: SectionKit["mistake"]): Promise<void> {
  if (plan.traffic.length === 0) return;
  // With upstreams that are still to come, names are no mistake.
  const catalog: Catalog = { name: "later", watch() {} };
  const draft = new Upstreams(plan.inits, plan.isOpen ? { catalog } : {});
  try {
    await draft.setTraffic(plan.traffic);
  } catch (error) {
    throw trafficMistake(error, mistake);
  } finally {
    draft.close();
  }
}
