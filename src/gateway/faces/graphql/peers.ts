import { SetupError } from "../../../core/errors/setup-error.ts";

/** An optional package with the majors that fit. */
interface Peer {
  readonly name: string;
  readonly majors: readonly number[];
}

const graphqlPeer: Peer = { name: "graphql", majors: [16, 17] };
const socketPeer: Peer = { name: "graphql-ws", majors: [6] };
const loaderPeer: Peer = { name: "dataloader", majors: [2] };

/**
 * Checks that the packages are there which the face needs.
 *
 * @param sockets whether subscriptions over WebSockets are served
 * @throws SetupError with the line that installs them
 */
export function checkPeers(sockets: boolean): Promise<void> {
  return check([graphqlPeer, ...(sockets ? [socketPeer] : []), loaderPeer]);
}

/** Checks that the package is there which a schema needs that is not served. @throws SetupError as `checkPeers` */
export function checkSchemaPeer(): Promise<void> {
  return check([graphqlPeer]);
}

async function check(peers: readonly Peer[]): Promise<void> {
  const problems = await Promise.all(peers.map(problemOf));
  const found = problems.find((problem) => problem !== undefined);
  if (found === undefined) return;
  const names = peers.map(({ name, majors }) => `${name}@${majors.at(-1)}`).join(" ");
  throw new SetupError(`graphql: ${found}: npm install ${names}`);
}

async function problemOf({ name, majors }: Peer): Promise<string | undefined> {
  let version: unknown;
  try {
    version = await versionOf(name);
  } catch (reason) {
    if (isMissing(reason)) return `the package ${name} is not installed`;
    throw reason;
  }
  // A package without a version in sight is taken as it is.
  if (typeof version !== "string" || majors.includes(Number.parseInt(version, 10))) return undefined;
  return `${name} ${version} does not fit, ${majors.join(" or ")} is needed`;
}

async function versionOf(name: string): Promise<unknown> {
  if (name === "graphql") return (await import("graphql")).version;
  const { readFileSync } = await import("node:fs");
  const { findPackageJSON } = await import("node:module");
  const file = findPackageJSON(name, import.meta.url);
  if (file === undefined) throw Object.assign(new Error(name), { code: "ERR_MODULE_NOT_FOUND" });
  return (JSON.parse(readFileSync(file, "utf8")) as { version?: unknown }).version; // Any package has an object there.
}

function isMissing(reason: unknown): boolean {
  const { code } = reason as { code?: unknown }; // Anything thrown can be looked at.
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
}
