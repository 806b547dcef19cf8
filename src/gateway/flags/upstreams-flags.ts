import type { FlagValues } from "../../core/config/flags.ts";
import type { DialOptions } from "../../core/dial.ts";
import type { Catalog } from "../../core/discovery/catalog.ts";
import { FlagError, SetupError } from "../../core/errors/setup-error.ts";
import { namedTarget, upstreamOf, type upstreamFlags } from "../../core/grpc/client/upstream-flags.ts";
import type { registerFlags } from "../../core/lifecycle/lifecycle-flags.ts";
import type { schemaFlags } from "../../core/schema/schema-flags.ts";
import type { Upstreams } from "../upstreams/upstreams.ts";
import type { UpstreamInit, UpstreamLogger } from "../upstreams/upstreams-options.ts";

/** The flags that say which upstreams there are. */
type Flags = FlagValues<typeof upstreamFlags> &
  Pick<FlagValues<typeof schemaFlags>, "descriptors" | "proto" | "service"> &
  Pick<FlagValues<typeof registerFlags>, "consul">;

/**
 * The upstreams of `--upstream` and `--discover`; undefined where the flags name one server, which `upstreamOf` has.
 *
 * @param dial further options for all of them
 * @throws SetupError naming flags that contradict each other, or the upstream that is wrong
 */
export async function severalUpstreams(
  flags: Flags,
  { dial = {}, logger }: { readonly dial?: Partial<DialOptions>; readonly logger?: UpstreamLogger },
): Promise<Upstreams | undefined> {
  const { upstream, discover } = flags;
  if (upstream.length < 2 && discover === undefined) return undefined;
  for (const name of ["descriptors", "proto", "service"] as const) {
    if (flags[name].length > 0) {
      throw new FlagError(`--${name} is for one upstream: several are served by their own reflection`);
    }
  }
  const inits: Record<string, UpstreamInit> = {};
  for (const { name, target } of upstream.map(namedTarget)) {
    const key = name ?? target;
    if (Object.hasOwn(inits, key)) throw new FlagError(`--upstream: ${key} is given twice`);
    inits[key] = { target };
  }
  const { name: _, ...options } = upstreamOf(flags).options;
  const catalog = discover === undefined ? undefined : await catalogOf(discover, flags.consul);
  const { Upstreams } = await import("../upstreams/upstreams.ts"); // Most programs have one upstream.
  return new Upstreams(inits, { catalog, dial: { ...options, ...dial }, logger });
}

/** The catalog that a value of `--discover` means. */
async function catalogOf(text: string, consulUrl: string | undefined): Promise<Catalog> {
  const colon = text.indexOf(":");
  const value = text.slice(colon + 1);
  if (text.slice(0, colon) === "consul") {
    const { consulCatalog } = await import("../../core/discovery/consul/consul-catalog.ts");
    return consulCatalog({ tag: value, ...(consulUrl === undefined ? {} : { url: consulUrl }) });
  }
  const { kubernetesCatalog } = await import("../../core/discovery/kubernetes/kubernetes-catalog.ts");
  try {
    return kubernetesCatalog({ labelSelector: value });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    const message = error.message.replace(
      "give the option server",
      "kubernetesCatalog of ts-ms/kubernetes has the option server",
    );
    throw new FlagError(`--discover ${text}: ${message}`);
  }
}
