import { strict as assert } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { KubeCluster } from "../kube-cluster.ts";
import type { Checks } from "../suite.ts";
import { goModule } from "../tools.ts";
import { objectsOf, type Manifests } from "./manifests.ts";
import type { KubeObject } from "./objects.ts";

/** A kind as the API server lists it. */
interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/**
 * Sends every object to an API server that knows the kinds of Istio and of the Gateway API, with
 * `dryRun=All&fieldValidation=Strict`; then again with one field of each kind changed, which must be refused.
 *
 * @throws Missing if the API server cannot be built
 */
export async function dryRun(checks: Checks, overlays: ReadonlyMap<string, Manifests>): Promise<void> {
  await using cluster = await KubeCluster.start([]);
  const api = new Api(cluster);
  await checks.check("the API server takes the kinds of Istio and of the Gateway API", async () => {
    const count = await installKinds(cluster);
    assert.ok(count > 20, `${count}`);
  });
  const damagedKinds = new Set<string>();
  for (const [name, { objects }] of overlays) {
    for (const object of objects) {
      // What others stand in is made, not only tried. It comes first.
      const isMade = object.kind === "Namespace" || object.kind === "ServiceAccount";
      await checks.check(`${name}: the API server takes ${object.kind} ${object.metadata.name}`, () =>
        isMade ? api.make(object) : api.try(object),
      );
      if (damagedKinds.has(object.kind)) continue;
      damagedKinds.add(object.kind);
      await checks.check(`${name}: the API server refuses a damaged ${object.kind}`, async () => {
        const [copy, field] = misspelt(object);
        await assert.rejects(api.try(copy), new RegExp(`unknown field \\\\?"${field}\\\\?"|${field}`));
      });
    }
    for (const object of objects.filter(({ kind }) => kind === "Deployment")) {
      await checks.check(`${name}: pods of ${object.metadata.name} are admitted as restricted ones`, () =>
        api.try(podOf(object)),
      );
    }
  }
}

/** The requests of one client. */
class Api {
  readonly #cluster: KubeCluster;
  readonly #resources = new Map<string, Promise<readonly Resource[]>>();

  constructor(cluster: KubeCluster) {
    this.#cluster = cluster;
  }

  /** Creates an object as `kubectl apply --dry-run=server --validate=strict` does. @throws Error with the refusal */
  async try(object: KubeObject): Promise<void> {
    await this.#cluster.send("POST", `${await this.#path(object)}?dryRun=All&fieldValidation=Strict`, object);
  }

  /** Creates an object, unless it is there. */
  async make(object: KubeObject): Promise<void> {
    await this.#cluster
      .send("POST", `${await this.#path(object)}?fieldValidation=Strict`, object)
      .catch((error: unknown) => {
        if (!String(error).includes("AlreadyExists")) throw error;
      });
  }

  async #path({ apiVersion, kind, metadata }: KubeObject): Promise<string> {
    const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    let asked = this.#resources.get(base);
    if (asked === undefined) {
      // As the API server answers discovery.
      asked = this.#cluster.send("GET", base).then((list) => (list as { resources: Resource[] }).resources);
      this.#resources.set(base, asked);
    }
    const found = (await asked).find((resource) => resource.kind === kind && !resource.name.includes("/"));
    if (found === undefined) throw new Error(`the API server knows no ${kind} of ${apiVersion}`);
    return found.namespaced
      ? `${base}/namespaces/${metadata.namespace}/${found.name}`
      : `${base}/${found.name}`;
  }
}

/** Creates the kinds of both projects, and waits until they are served. @returns their number */
async function installKinds(cluster: KubeCluster): Promise<number> {
  const istio = await goModule("istio.io/api@v1.32.0");
  const gatewayApi = await goModule("sigs.k8s.io/gateway-api@v1.6.3");
  const files = [
    join(istio, "kubernetes/customresourcedefinitions.gen.yaml"),
    ...globSync(join(gatewayApi, "config/crd/standard/*.yaml")),
  ];
  const kinds = files
    .flatMap((file) => objectsOf(readFileSync(file, "utf8")))
    .filter((object) => object?.kind === "CustomResourceDefinition");
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  for (const kind of kinds) await cluster.send("POST", path, kind);
  for (const { metadata } of kinds) {
    for (let attempt = 0; !(await isServed(cluster, `${path}/${metadata.name}`)); attempt++) {
      assert.ok(attempt < 100, `${metadata.name} is not served after 10 s`);
      await delay(100);
    }
  }
  return kinds.length;
}

async function isServed(cluster: KubeCluster, path: string): Promise<boolean> {
  // As the API server describes a kind.
  const { status } = (await cluster.send("GET", path)) as {
    status?: { conditions?: { type: string; status: string }[] };
  };
  return status?.conditions?.some(({ type, status }) => type === "Established" && status === "True") ?? false;
}

/** A copy whose first field beside its name is misspelt, and that field. */
function misspelt(object: KubeObject): readonly [KubeObject, string] {
  const copy = structuredClone(object) as KubeObject & Record<string, unknown>; // Objects of any kind.
  const spec = copy["spec"];
  const inside = typeof spec === "object" && spec !== null ? (spec as Record<string, unknown>) : copy;
  const [field = "spec"] = Object.keys(inside).filter((key) => !/^(apiVersion|kind|metadata)$/.test(key));
  const wrong = `${field}s`;
  inside[wrong] = inside[field] ?? {};
  delete inside[field];
  return [copy, wrong];
}

/** A pod as a deployment makes it. */
function podOf(deployment: KubeObject): KubeObject {
  const { spec } = deployment as unknown as { spec: { template: { metadata: object; spec: object } } }; // It is one.
  const { name, namespace = "" } = deployment.metadata;
  return {
    apiVersion: "v1",
    kind: "Pod",
    ...spec.template,
    metadata: { ...spec.template.metadata, name, namespace },
  };
}
