import { makeCertificates } from "./certificates.ts";
import { runDuel } from "./duel.ts";
import { Http3Load } from "./load/http3-load.ts";
import { overHttp, type Wire } from "./over-wire.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { find } from "./works.ts";

/** The same route over HTTP/3, which is always over TLS, and over HTTP/1.1 without. */
async function measure(rig: Rig): Promise<Measured> {
  const { folder, remove } = await makeCertificates();
  const subject = { file: "http3-gateway.ts", args: [folder] };
  const overHttp1 = overHttp(find);
  const wireOf = ({ name }: { readonly name: string }): Wire =>
    name.startsWith(subject.file) ? overHttp3 : overHttp1;
  try {
    return await runDuel(
      {
        subject,
        reference: { file: "gateway.ts" },
        check: (contestant) => wireOf(contestant).check(contestant),
        drive: (contestant) => wireOf(contestant).drive(contestant),
      },
      rig,
    );
  } finally {
    await remove();
  }
}

/** The load over HTTP/3; to check there is one call of it. */
const overHttp3: Wire = {
  async check({ port }) {
    const load = await Http3Load.open(port, find);
    await load.run(Infinity, 1).finally(() => load.close());
  },
  drive: ({ port }) => Http3Load.open(port, find),
};

/** HTTP/3 in the process. */
export const http3Rows: readonly Row[] = [
  {
    id: "21",
    work: "REST → handler in process, small GET",
    subject: "gateway over HTTP/3",
    reference: "gateway over HTTP/1.1",
    better: "higher",
    must: 0.3,
    aim: 0.5,
    measure,
  },
];
