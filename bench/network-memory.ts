import { bundled } from "./bundled.ts";
import { Contestant, type Program } from "./contestant.ts";
import { handGateway, networkGateway } from "./gateway-duel.ts";
import { startCannedBackend } from "./load/canned-backend.ts";
import { HttpLoad } from "./load/http-load.ts";
import { median, type Measured, type Rig } from "./rig.ts";
import { networkFind, networkSend } from "./works.ts";

/** Resident memory of a gateway in front of a backend, after the small calls of rows 2 and 11. */
export interface UsedMemory {
  /** Against the gateway written by hand. */
  readonly compared: Measured;
  /** Against the bound of `boundMebibytes`. */
  readonly bounded: Measured;
}

/** What a gateway with small calls may use, in MiB. */
export const boundMebibytes = 160;

/** Starts both gateways in turns; each gets the calls of both kinds, half of them each. */
export async function compareUsedMemory(rig: Rig): Promise<UsedMemory> {
  const gateway = await bundled(networkGateway);
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < rig.rounds; round++) {
    ours.push(await mebibytesAfterCalls(gateway, rig));
    theirs.push(await mebibytesAfterCalls(handGateway, rig));
  }
  const rounds = { subject: ours, reference: theirs };
  const subject = mebibytes(median(ours));
  return {
    compared: {
      subject,
      reference: mebibytes(median(theirs)),
      ratios: ours.map((one, round) => one / (theirs[round] ?? Number.NaN)),
      rounds,
      remarks: [],
    },
    bounded: {
      subject,
      reference: mebibytes(boundMebibytes),
      ratios: ours.map((one) => one / boundMebibytes),
      rounds: { subject: ours, reference: [boundMebibytes] },
      remarks: [],
    },
  };
}

async function mebibytesAfterCalls({ file, args = [] }: Program, rig: Rig): Promise<number> {
  const works = [networkSend, networkFind];
  const backend = await startCannedBackend(works.map(({ grpc }) => grpc));
  const contestant = await Contestant.start({ file, args: [...args, `127.0.0.1:${backend.port}`] }, rig);
  try {
    for (const { http } of works) {
      const load = await HttpLoad.open(contestant.port, http);
      await load.run(Infinity, rig.calls / works.length);
      load.close();
    }
    return (await contestant.usage()).rssBytes / 2 ** 20;
  } finally {
    await contestant.stop();
    backend.close();
  }
}

function mebibytes(value: number): string {
  return `${value.toFixed(1)} MiB`;
}
