import { Contestant, type Program } from "./contestant.ts";
import { runDuel, samplesAre } from "./duel.ts";
import { gatewayDuel, networkGateway } from "./gateway-duel.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { growthOf } from "./life.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { fetchCockatiel, fetchEnvoy } from "./peers.ts";
import { grpcSend, networkFind, networkSend, parcelInit } from "./works.ts";

/** The choice among 1,000 servers, beside that among 3. */
const pickRows: readonly Row[] = (
  [
    ["c6a", "p2c", 1.3, 1.1],
    ["c6b", "round_robin", 1.3, 1.1],
    ["c6c", "hash", 2, 1.5],
  ] as const
).map(([id, policy, must, aim]) => ({
  id,
  work: `pick by ${policy}, with the counts of an attempt`,
  subject: "1,000 servers",
  reference: "3 servers",
  better: "lower",
  must,
  aim,
  measure: (rig) =>
    runDuel(
      {
        subject: { file: "picker.ts", args: [policy, "1000"] },
        reference: { file: "picker.ts", args: [policy, "3"] },
        check: samplesAre(true),
        inverse: true,
      },
      rig,
    ),
}));

const withPolicies: Program = { ...networkGateway, args: ["policies"] };
const gateway = {
  subject: "gateway with circuit breaker, limit of calls and retries",
  reference: "the gateway of row 2",
  better: "higher",
  must: 0.92,
  aim: 0.97,
} as const;

/** Comparisons of a client of three servers. */
export const clusterRows: readonly Row[] = [
  {
    id: "c1a",
    work: "typed client of 3 servers, p2c, small unary",
    subject: "`createClient(dial([…]))`",
    reference: '`createClient(dial("host:port"))`',
    better: "higher",
    must: 0.92,
    aim: 0.97,
    measure: (rig) =>
      threeServers(rig, (all, one) => ({
        subject: { file: "typed-client.ts", args: [all] },
        reference: { file: "typed-client.ts", args: [one] },
      })),
  },
  {
    id: "c1b",
    work: "the same with 1 server: what balancing costs without further connections",
    subject: "`createClient(dial([…]))`",
    reference: '`createClient(dial("host:port"))`',
    better: "higher",
    must: 0.92,
    aim: 0.97,
    measure: (rig) =>
      threeServers(rig, (_, one) => ({
        subject: { file: "typed-client.ts", args: [`${one},${one}`] }, // Twins in a list are one endpoint.
        reference: { file: "typed-client.ts", args: [one] },
      })),
  },
  {
    id: "c1c",
    work: "the same with 3 servers: what balancing costs beside connections",
    subject: "`createClient(dial([…]))`",
    reference: '3 × `createClient(dial("host:port"))`, called by turns',
    better: "higher",
    must: 0.92,
    aim: 0.97,
    measure: (rig) =>
      threeServers(rig, (all) => ({
        subject: { file: "typed-client.ts", args: [all] },
        reference: { file: "typed-client.ts", args: [all, "turns"] },
      })),
  },
  {
    id: "c2",
    work: "typed client of 3 servers, p2c, small unary",
    subject: "`createClient(dial([…]))`",
    reference: "grpc-js client, round_robin, retryPolicy",
    better: "higher",
    must: 2,
    aim: 3,
    measure: (rig) =>
      threeServers(rig, (all) => ({
        subject: { file: "typed-client.ts", args: [all] },
        reference: { file: "bare-grpc-js-client.ts", args: [all] },
      })),
  },
  {
    ...gateway,
    id: "c3a",
    work: "REST → gRPC over the network, small POST",
    measure: (rig) => gatewayDuel(networkSend, networkGateway, rig, withPolicies),
  },
  {
    ...gateway,
    id: "c3b",
    work: "REST → gRPC over the network, small GET",
    measure: (rig) => gatewayDuel(networkFind, networkGateway, rig, withPolicies),
  },
  ...pickRows,
  {
    id: "c11",
    work: "live memory of a typed client of 3 servers, growth by further calls",
    subject: "`createClient(dial([…]))`, later",
    reference: "the same, after the first calls",
    better: "lower",
    must: 1.05,
    measure: growthOfClient,
  },
];

/** The same beside programs of other projects. */
export const clusterPeerRows: readonly Row[] = [
  {
    id: "c5",
    work: "a call around a closed circuit breaker",
    subject: "`acquire` and `ok`",
    reference: "cockatiel 4, `execute` of a resolved promise",
    better: "higher",
    must: 3,
    aim: 6,
    measure: async (rig) =>
      runDuel(
        {
          subject: { file: "breaker.ts", args: ["ours"] },
          reference: { file: "breaker.ts", args: [await fetchCockatiel()] },
          check: samplesAre(true),
        },
        rig,
      ),
  },
  {
    id: "c8",
    work: "typed client of 3 servers, small unary, CPU time of all that stands before the servers",
    subject: "`createClient(dial([…]))`",
    reference: "the same client of an Envoy (C++) beside it, which chooses",
    better: "higher",
    must: 1.5,
    aim: 2.5,
    measure: async (rig) => {
      const envoy = await fetchEnvoy();
      return threeServers(rig, (all) => ({
        subject: { file: "typed-client.ts", args: [all] },
        reference: { file: "sidecar-client.ts", args: [envoy, all] },
      }));
    },
  },
];

/** Each run of the client makes half of the calls of the row at least. */
async function growthOfClient(rig: Rig): Promise<Measured> {
  return withServers(async (addresses) => {
    const client = await Contestant.start({ file: "typed-client.ts", args: [addresses.join(",")] }, rig);
    try {
      return await growthOf(client, rig, async () => {
        for (let calls = 0; calls < rig.calls / 2;) calls += await client.work(rig.lapMs);
      });
    } finally {
      await client.stop();
    }
  });
}

/** Two programs, given the addresses of three servers, and of the first of them. */
async function threeServers(
  rig: Rig,
  programs: (all: string, one: string) => { readonly subject: Program; readonly reference: Program },
): Promise<Measured> {
  return withServers((addresses) => {
    const contestants = programs(addresses.join(","), addresses[0] ?? "");
    return runDuel({ ...contestants, check: samplesAre(parcelInit) }, rig);
  });
}

/** Calls `measure` with the addresses of three servers. */
async function withServers(measure: (addresses: readonly string[]) => Promise<Measured>): Promise<Measured> {
  const backends = await Promise.all([1, 2, 3].map(() => startCannedBackend([grpcSend])));
  try {
    return await measure(backends.map(({ port }) => `127.0.0.1:${port}`));
  } finally {
    for (const backend of backends) backend.close();
  }
}
