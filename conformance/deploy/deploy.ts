import { strict as assert } from "node:assert";
import { Checks, type Suite } from "../suite.ts";
import { dryRun } from "./dry-run.ts";
import { damaged, istioDamages, productionDamages } from "./damages.ts";
import { linkViolations } from "./links.ts";
import { machineFiles } from "./machine-files.ts";
import { Manifests, renderOverlay, renderWith } from "./manifests.ts";
import { meshViolations } from "./mesh-links.ts";
import { podViolations } from "./pods.ts";
import { flagsOf } from "./program-flags.ts";

/**
 * The manifests of deploy/kubernetes, rendered by kustomize: whether all that names something names what is there and,
 * with `--all`, whether a real API server takes each object. Both are proven by damage.
 */
export const deploy: Suite = {
  name: "deploy",
  async run(whole) {
    const checks = new Checks();
    await machineFiles(checks);
    const overlays = new Map<string, Manifests>();
    for (const name of ["development", "production", "istio"]) overlays.set(name, await renderOverlay(name));
    overlays.set("istio with client certificates", await renderOverlayWithMutual());
    if ((await flagsOf("http-only")).has("--http3-port")) {
      overlays.set("http3", await renderWith("tls", "http3"));
    }
    for (const [name, manifests] of overlays) {
      await checks.check(`${name}: what is named is there`, async () => {
        assert.ok(manifests.objects.length > 15);
        assert.deepEqual(await violations(manifests), []);
      });
    }
    for (const [name, damages] of [
      ["istio", istioDamages],
      ["production", productionDamages],
    ] as const) {
      const { objects } = overlays.get(name) ?? assert.fail();
      for (const damage of damages) {
        await checks.check(
          `${name}: ${damage.kind} ${damage.name} with other ${damage.path.join(".")}`,
          async () => {
            const found = await violations(new Manifests(damaged(objects, damage)));
            assert.ok(
              found.some((line) => damage.complaint.test(line)),
              `found ${JSON.stringify(found)}`,
            );
          },
        );
      }
    }
    if (whole) await dryRun(checks, overlays);
    return checks.result;
  },
};

function renderOverlayWithMutual(): Promise<Manifests> {
  return renderWith("istio", "istio-mutual");
}

async function violations(manifests: Manifests): Promise<string[]> {
  return [...(await podViolations(manifests)), ...linkViolations(manifests), ...meshViolations(manifests)];
}
