import { Checks, type Suite } from "../suite.ts";
import { renderOverlay } from "../deploy/manifests.ts";
import { access, limits } from "./access.ts";
import { startMesh } from "./topology.ts";
import { traffic } from "./traffic.ts";

/**
 * What the objects of Istio in deploy/kubernetes do, by Envoys that have their numbers: two sidecars with mutual TLS and
 * SPIFFE names between a gateway and four pods of a library.
 */
export const mesh: Suite = {
  name: "mesh",
  slow: true,
  async run() {
    const checks = new Checks();
    await using started = await startMesh(await renderOverlay("istio"));
    await access(checks, started);
    await traffic(checks, started);
    await limits(checks, started);
    return checks.result;
  },
};
