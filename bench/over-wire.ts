import { connect } from "node:http2";
import type { Contestant } from "./contestant.ts";
import type { Drive, Duel } from "./duel.ts";
import { GrpcLoad, type GrpcWork } from "./load/grpc-load.ts";
import { grpcMessage } from "./load/http2-frames.ts";
import { HttpLoad, isAnswer, type HttpWork } from "./load/http-load.ts";

/** Checks and loads of contestants over the network. */
export type Wire = Required<Pick<Duel, "check" | "drive">>;

/** The load over HTTP/1.1, and single calls by `fetch` to check. */
export function overHttp(work: HttpWork): Wire {
  return {
    check: async ({ name, port }) => {
      const { method, target, body } = work;
      const response = await fetch(`http://127.0.0.1:${port}${target}`, {
        method,
        headers: { "content-type": "application/json", connection: "close" },
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      if (response.status === 200 && isAnswer(work, JSON.parse(text))) return;
      throw new Error(`${name} answers ${response.status}: ${text.slice(0, 500)}`);
    },
    drive: ({ port }: Contestant): Promise<Drive> => HttpLoad.open(port, work),
  };
}

/** The load over gRPC, and single calls by Node's own HTTP/2 client to check. */
export function overGrpc(work: GrpcWork): Wire {
  return {
    check: ({ name, port }) => checkCall(name, port, work),
    drive: ({ port }: Contestant): Promise<Drive> => GrpcLoad.open(port, work),
  };
}

/** One call whose status and message are checked. */
function checkCall(name: string, port: number, { path, request, answer }: GrpcWork): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let status: unknown;
    stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      session.destroy();
      const right = String(status) === "0" && Buffer.concat(chunks).equals(grpcMessage(answer));
      if (right) resolve();
      else reject(new Error(`${name} answers with status ${String(status)} or a wrong message`));
    });
    stream.end(grpcMessage(request));
  });
}
