import { Code, ConnectError } from "../../errors/errors.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { ResolverParts } from "../polling.ts";
import type { Resolver, ResolverListener } from "../resolver.ts";
import type { AdsClient } from "./ads-client.ts";
import { readBootstrap, type XdsOptions } from "./bootstrap.ts";
import { routeEndpoints } from "./route-endpoints.ts";
import { openClient } from "./shared-clients.ts";
import { XdsView, type XdsState } from "./xds-view.ts";

/** Whatever is not known by then holds the process no longer, in milliseconds. */
const holdMs = 20_000;

/**
 * The endpoints of a service mesh, `xds:///NAME`: a control plane has a listener of that name, whose routes lead to
 * clusters with endpoints (xDS v3, one stream for all targets of the process).
 *
 * @throws TypeError if the name is none, or if there is no bootstrap, or naming what is wrong in it
 */
export function xdsResolver(name: string, options: XdsOptions = {}, parts: ResolverParts = {}): Resolver {
  if (typeof name !== "string" || name.replace(/^xds:\/\/\//, "") === "") {
    throw new SetupError("xdsResolver takes the name of a service, xds:///NAME");
  }
  const target = name.replace(/^xds:\/\/\//, "");
  const bootstrap = readBootstrap(options);
  let client: AdsClient | undefined;
  return {
    name: "xds",
    authority: target,
    watch(listener, signal) {
      if (signal.aborted) return;
      const shared = openClient(bootstrap, parts);
      client = shared.client;
      // The stream itself does not keep the process, but who waits for the first answer needs it.
      const hold = setTimeout(() => {}, holdMs);
      const settled = settle(listener, () => clearTimeout(hold), shared.client);
      const listenerName = bootstrap.listenerTemplate.replaceAll("%s", target);
      const view = new XdsView(shared.client, listenerName, target, settled);
      signal.addEventListener("abort", () => {
        clearTimeout(hold);
        view.close();
        shared.release();
      });
    },
    refresh: () => client?.refresh(),
  };
}

function settle(listener: ResolverListener, first: () => void, client: AdsClient): (state: XdsState) => void {
  return (state) => {
    first();
    const found = state.kind === "ready" ? routeEndpoints(state) : state;
    if ("endpoints" in found) listener.update(found.endpoints);
    else if ("problem" in found) {
      const text = `xds: ${found.problem}`;
      listener.failed(new ConnectError(text, Code.Unavailable, undefined, undefined, client.failure));
    }
  };
}
