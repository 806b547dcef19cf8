import { isMissingPeer } from "../../../core/config/optional-peer.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";

/** An optional package with the majors that fit. */
interface Peer {
  readonly name: string;
  readonly majors: readonly number[];
  /** Its version, by an import that a bundler follows: a bundle has the package inside. */
  readonly version: () => Promise<unknown>;
}

const graphqlPeer: Peer = {
  name: "graphql",
  majors: [16, 17],
  version: async () => (await import("graphql")).version,
};
const socketPeer: Peer = {
  name: "graphql-ws",
  majors: [6],
  version: async () => (await import("graphql-ws/package.json", { with: { type: "json" } })).default.version,
};
const loaderPeer: Peer = {
  name: "dataloader",
  majors: [2],
  version: async () => (await import("dataloader/package.json", { with: { type: "json" } })).default.version,
};

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

async function problemOf({ name, majors, version }: Peer): Promise<string | undefined> {
  let found: unknown;
  try {
    found = await version();
  } catch (reason) {
    if (isMissingPeer(reason, name)) return `the package ${name} is not installed`;
    throw reason;
  }
  // A package without a version in sight is taken as it is.
  if (typeof found !== "string" || majors.includes(Number.parseInt(found, 10))) return undefined;
  return `${name} ${found} does not fit, ${majors.join(" or ")} is needed`;
}
