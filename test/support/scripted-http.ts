import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that answers every request as a test says, and keeps what came. */
export interface ScriptedHttp extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly head: IncomingMessage; body: string }[];
  /** What to do with the next requests, once their bodies have come. */
  answer: (
    response: ServerResponse,
    request: { readonly head: IncomingMessage; readonly body: string },
  ) => void;
}

/** Starts a scripted server on a port of the system's choice. */
export async function startScriptedHttp(): Promise<ScriptedHttp> {
  const server = createServer((head, response) => {
    const request = { head, body: "" };
    scripted.requests.push(request);
    head.setEncoding("utf8").on("data", (text: string) => (request.body += text));
    head.on("end", () => scripted.answer(response, request));
    head.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  const scripted: ScriptedHttp = {
    url: `http://127.0.0.1:${port}`,
    requests: [],
    answer: (response) => response.end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return scripted;
}
