import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { toJson } from "@bufbuild/protobuf";
import { ListBooksResponseSchema } from "../gen/library/v1/library_pb.ts";
import { hundredBooks } from "./books.ts";
import { runDuel, samplesAre } from "./duel.ts";
import type { Measured, Rig, Row } from "./rig.ts";
import { parcelInit } from "./works.ts";

const answers = {
  send: parcelInit,
  list: { books: (toJson(ListBooksResponseSchema, hundredBooks()) as { books: unknown[] }).books }, // As it is written.
};

const row = {
  subject: "`createClient(restTransport())`",
  reference: "`fetch`, `JSON` and protobuf-es by hand",
  better: "higher",
  must: 0.9,
  aim: 1,
} as const;

/** The REST client. */
export const restClientRows: readonly Row[] = [
  { ...row, id: "c7a", work: "REST client, small POST", measure: (rig) => restDuel("send", rig) },
  { ...row, id: "c7b", work: "REST client, list of 100", measure: (rig) => restDuel("list", rig) },
];

/** Both call a server that answers everything with the same text. */
async function restDuel(work: keyof typeof answers, rig: Rig): Promise<Measured> {
  const text = JSON.stringify(answers[work]);
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("content-type", "application/json").end(text));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // It listens on TCP.
  try {
    return await runDuel(
      {
        subject: { file: "rest-client.ts", args: ["ours", url, work] },
        reference: { file: "rest-client.ts", args: ["by-hand", url, work] },
        check: samplesAre(answers[work]),
      },
      rig,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
