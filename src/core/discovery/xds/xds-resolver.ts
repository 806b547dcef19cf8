import { Code, ConnectError } from "../../errors/errors.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { ResolverParts } from "../polling.ts";
import type { Resolver } from "../resolver.ts";
import type { RoutedResolver } from "../routed-resolver.ts";
import type { AdsClient } from "./ads-client.ts";
import { readBootstrap, type XdsOptions } from "./bootstrap.ts";
import { CallRoutes } from "./call-routes.ts";
import { routeEndpoints } from "./route-endpoints.ts";
import { openClient } from "./shared-clients.ts";
import { XdsView, type XdsState } from "./xds-view.ts";

/** What is not known by then holds the process no longer, in milliseconds. */
const holdMs = 20_000;

/**
 * The services of a mesh, `xds:///NAME`: a control plane has a listener of that name, whose routes lead to clusters with
 * endpoints (xDS v3, one stream for all targets of the process).
 *
 * `dial` sends each call where its route leads. As a list of endpoints, it finds those of the route for all calls.
 *
 * @throws TypeError if the name is none, or if there is no bootstrap, or naming what is wrong in it
 */
export function xdsResolver(name: string, options: XdsOptions = {}, parts: ResolverParts = {}): Resolver {
  if (typeof name !== "string" || name.replace(/^xds:\/\/\//, "") === "") {
    throw new SetupError("xdsResolver takes the name of a service, xds:///NAME");
  }
  const target = name.replace(/^xds:\/\/\//, "");
  const bootstrap = readBootstrap(options);
  const listenerName = bootstrap.listenerTemplate.replaceAll("%s", target);
  let client: AdsClient | undefined;
  const refresh = (): void => client?.refresh();

  /** Views the target until the signal fires. */
  const view = (
    signal: AbortSignal,
    ready: (state: Extract<XdsState, { kind: "ready" }>) => { readonly problem: string } | undefined,
    failed: (error: ConnectError) => void,
  ): void => {
    if (signal.aborted) return;
    const shared = openClient(bootstrap, parts);
    client = shared.client;
    // The stream itself does not keep the process, but who waits for the first answer needs it.
    const hold = setTimeout(() => {}, holdMs);
    const opened = new XdsView(shared.client, listenerName, target, (state) => {
      clearTimeout(hold);
      const problem = state.kind === "ready" ? ready(state) : state;
      if (problem === undefined || !("problem" in problem)) return;
      const text = `xds: ${problem.problem}`;
      failed(new ConnectError(text, Code.Unavailable, undefined, undefined, shared.client.failure));
    });
    signal.addEventListener("abort", () => {
      clearTimeout(hold);
      opened.close();
      shared.release();
    });
  };

  const resolver: RoutedResolver = {
    name: "xds",
    authority: target,
    watch(listener, signal) {
      const ready = (state: Extract<XdsState, { kind: "ready" }>): { problem: string } | undefined => {
        const found = routeEndpoints(state);
        if ("problem" in found) return found;
        listener.update(found.endpoints);
        return undefined;
      };
      view(signal, ready, (error) => listener.failed(error));
    },
    watchRoutes(listener, signal) {
      const routes = new CallRoutes(refresh);
      const ready = (state: Extract<XdsState, { kind: "ready" }>): undefined => {
        listener.update(routes.target(state));
      };
      view(signal, ready, (error) => listener.failed(error));
    },
    refresh,
  };
  return resolver;
}
