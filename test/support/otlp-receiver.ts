import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { readSpans, type ReceivedSpan } from "./otlp-spans.ts";

export type { ReceivedSpan };

/** Takes spans by OTLP over HTTP in protobuf, as a collector does. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly requests: IncomingMessage["headers"][] = [];
  /** What answers a request in place of 200. */
  answer: ((response: ServerResponse) => void) | undefined;
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      this.requests.push(request.headers);
      if (this.answer !== undefined) {
        this.answer(response);
        return;
      }
      this.spans.push(...readSpans(Buffer.concat(chunks)));
      response.setHeader("content-type", "application/x-protobuf");
      response.end();
    });
  });

  async start(port = 0): Promise<this> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
