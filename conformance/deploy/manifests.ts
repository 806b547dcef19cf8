import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { goTool } from "../tools.ts";
import type { Deployment, KubeObject, Kinds, Labels, Selector } from "./objects.ts";

const run = promisify(execFile);
const kubernetes = join(import.meta.dirname, "../../deploy/kubernetes");

/** The objects of an overlay. */
export class Manifests {
  readonly objects: readonly KubeObject[];

  constructor(objects: readonly KubeObject[]) {
    this.objects = objects;
  }

  of<K extends keyof Kinds>(kind: K): readonly Kinds[K][] {
    // That objects are as their kind says is what the API server checks.
    return this.objects.filter((object) => object.kind === kind) as unknown as Kinds[K][];
  }

  named<K extends keyof Kinds>(kind: K, name: string): Kinds[K] | undefined {
    return this.of(kind).find((object) => object.metadata.name === name);
  }

  /** The deployments whose pods have these labels; all for none. */
  podsOf(labels: Labels = {}): readonly Deployment[] {
    return this.of("Deployment").filter(({ spec }) => {
      const own = spec.template.metadata.labels;
      return Object.entries(labels).every(([name, value]) => own[name] === value);
    });
  }

  selected(selector: Selector | undefined): readonly Deployment[] {
    return this.podsOf(selector?.matchLabels);
  }
}

/**
 * Renders overlays by kustomize 5.8.1.
 *
 * @throws Missing if there is no Go, Error with what kustomize says
 */
export async function renderOverlay(name: string): Promise<Manifests> {
  return rendered(join(kubernetes, "overlays", name));
}

/** Renders the base with components that no overlay has. */
export async function renderWith(...components: readonly string[]): Promise<Manifests> {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-overlay-"));
  try {
    const path = (name: string): string => relative(folder, join(kubernetes, name));
    const overlay = {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      namespace: "shop",
      resources: [path("base")],
      components: components.map((name) => path(`components/${name}`)),
    };
    writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify(overlay));
    return await rendered(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function rendered(folder: string): Promise<Manifests> {
  const { stdout } = await run(await goTool("kustomize"), ["build", folder], { maxBuffer: 64 << 20 });
  return new Manifests(objectsOf(stdout));
}

/** The objects of a file of YAML. */
export function objectsOf(text: string): KubeObject[] {
  // Each document is an object of Kubernetes or of Istio: what else it is would be refused by the API server.
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}
