import { flagsOf } from "./program-flags.ts";
import type { Container, Deployment } from "./objects.ts";
import type { Manifests } from "./manifests.ts";

/** How long programs wait for calls under way after their drain delay, in seconds. */
const graceSeconds = 15;
/** What a pod needs beside, in seconds. */
const spareSeconds = 5;

/** What is wrong with the pods of deployments, a line each. */
export async function podViolations(manifests: Manifests): Promise<string[]> {
  const found: string[] = [];
  for (const deployment of manifests.of("Deployment")) {
    const { name } = deployment.metadata;
    const of = (lines: readonly string[]): void =>
      void found.push(...lines.map((line) => `${name}: ${line}`));
    of(selectorViolations(deployment, manifests));
    of(hardening(deployment));
    of(nameViolations(deployment, manifests));
    for (const container of deployment.spec.template.spec.containers) {
      of(portViolations(container, deployment));
      of(stopTimes(container, deployment));
      of(await flagViolations(container));
    }
  }
  return found;
}

function selectorViolations(deployment: Deployment, manifests: Manifests): string[] {
  const { selector, template } = deployment.spec;
  const others = manifests.selected(selector).filter((other) => other !== deployment);
  const spread = template.spec.topologySpreadConstraints;
  return [
    ...(manifests.selected(selector).includes(deployment) ? [] : ["its selector does not find its own pods"]),
    ...others.map((other) => `its selector finds pods of ${other.metadata.name}`),
    ...spread
      .filter(({ labelSelector }) => !manifests.selected(labelSelector).includes(deployment))
      .map(({ topologyKey }) => `its spread over ${topologyKey} does not count its own pods`),
    ...["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
      .filter((key) => !spread.some(({ topologyKey }) => topologyKey === key))
      .map((key) => `it is not spread over ${key}`),
  ];
}

/** Pods are what Kubernetes calls restricted, with a root that cannot be written. */
function hardening({ spec }: Deployment): string[] {
  const { securityContext: pod, containers } = spec.template.spec;
  const rules: [boolean, string][] = [
    [pod["runAsNonRoot"] === true && pod["runAsUser"] === 65_532, "it does not run as 65532"],
    [
      JSON.stringify(pod["seccompProfile"]) === '{"type":"RuntimeDefault"}',
      "its seccomp profile is not RuntimeDefault",
    ],
    [
      spec.strategy.rollingUpdate.maxUnavailable === 0,
      "a roll-out takes pods away before their successors are ready",
    ],
  ];
  for (const { securityContext: own, resources } of containers) {
    rules.push(
      [own["readOnlyRootFilesystem"] === true, "its root can be written"],
      [own["allowPrivilegeEscalation"] === false, "it may gain privileges"],
      [JSON.stringify(own["capabilities"]) === '{"drop":["ALL"]}', "it keeps capabilities"],
      [resources.limits["memory"] !== undefined, "its memory has no limit"],
      [resources.limits["cpu"] === undefined, "its CPU has a limit"],
    );
  }
  return rules.filter(([isGood]) => !isGood).map(([, problem]) => problem);
}

function nameViolations({ spec }: Deployment, manifests: Manifests): string[] {
  const { serviceAccountName, containers, volumes = [] } = spec.template.spec;
  const maps = containers.flatMap(({ envFrom = [] }) => envFrom.map(({ configMapRef }) => configMapRef.name));
  const variables = maps.flatMap((name) => Object.keys(manifests.named("ConfigMap", name)?.data ?? {}));
  const used = containers.flatMap(({ args }) => args.flatMap((arg) => [...arg.matchAll(/\$\((\w+)\)/g)]));
  return [
    ...(manifests.named("ServiceAccount", serviceAccountName) === undefined
      ? [`there is no ServiceAccount ${serviceAccountName}`]
      : []),
    ...maps
      .filter((name) => manifests.named("ConfigMap", name) === undefined)
      .map((name) => `there is no ConfigMap ${name}`),
    ...used.filter(([, name = ""]) => !variables.includes(name)).map(([text]) => `no ConfigMap has ${text}`),
    ...volumes
      .filter(({ secret }) => !fromOthers.has(`Secret ${secret.secretName}`))
      .map(({ secret }) => `no page says who makes the Secret ${secret.secretName}`),
  ];
}

/** What others make: those who sign certificates. docs/deploy.md says so. */
export const fromOthers: ReadonlySet<string> = new Set([
  "Secret gateway-tls",
  "Secret edge-tls",
  "ConfigMap gateway-ca",
]);

/** The ports that a container declares are those of its arguments; probes and annotations use them. */
function portViolations({ args, ports, ...container }: Container, { spec }: Deployment): string[] {
  const listens = args.flatMap((arg) => /^--[a-z0-9]+-port=(\d+)$/.exec(arg)?.[1] ?? []).map(Number);
  const declared = ports.map(({ containerPort }) => containerPort);
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  const asked = probes.flatMap(({ httpGet, grpc }) => httpGet?.port ?? grpc?.port ?? []);
  const scraped = spec.template.metadata.annotations?.["prometheus.io/port"];
  const isServed = (port: string | number): boolean =>
    ports.some(({ name, containerPort }) => name === port || containerPort === Number(port));
  return [
    ...declared.filter((port) => !listens.includes(port)).map((port) => `no argument has the port ${port}`),
    ...listens.filter((port) => !declared.includes(port)).map((port) => `the port ${port} is not declared`),
    ...[...asked, ...(scraped === undefined ? [] : [scraped])]
      .filter((port) => !isServed(port))
      .map((port) => `it is asked at ${port}, where it does not listen`),
    ...(asked.length === probes.length ? [] : ["a probe is missing"]),
    ...probes
      .filter(
        ({ httpGet }) => httpGet !== undefined && !/^\/(livez|readyz\?scope=process)$/.test(httpGet.path),
      )
      .map(({ httpGet }) => `the probe ${httpGet?.path} may ask an upstream`),
  ];
}

/** From the decision to stop a pod until it is killed, everything must have its time. */
function stopTimes({ args, lifecycle }: Container, { spec }: Deployment): string[] {
  const { annotations } = spec.template.metadata;
  const { terminationGracePeriodSeconds: whole } = spec.template.spec;
  const drain = args.flatMap((arg) => /^--drain-delay=(\d+)s$/.exec(arg)?.[1] ?? []).map(Number)[0] ?? 0;
  const preStop = lifecycle.preStop.sleep.seconds;
  const needed = preStop + drain + graceSeconds + spareSeconds;
  const proxy = /terminationDrainDuration: (\d+)s/.exec(annotations?.["proxy.istio.io/config"] ?? "")?.[1];
  return [
    ...(drain >= 5 ? [] : [`its drain delay of ${drain} s is shorter than 5 s`]),
    ...(whole >= needed ? [] : [`it is killed after ${whole} s, and needs ${needed} s to stop`]),
    ...(proxy === undefined || Number(proxy) >= preStop + drain
      ? []
      : [`its proxy ends after ${proxy} s, and the program serves for ${preStop + drain} s`]),
    ...(proxy === undefined || whole >= Number(proxy) + spareSeconds
      ? []
      : [`it is killed after ${whole} s, before its proxy ends after ${proxy} s`]),
  ];
}

async function flagViolations({ name, args }: Container): Promise<string[]> {
  const program = programs[name];
  if (program === undefined) return [`no program is known for the container ${name}`];
  const known = await flagsOf(program);
  return args
    .map((arg) => arg.split("=")[0] ?? arg)
    .filter((flag) => !known.has(flag))
    .map((flag) => `${program} has no flag ${flag}`);
}

/** The program of each container. */
const programs: Readonly<Record<string, string>> = { gateway: "http-only", library: "grpc-only" };
