import assert from "node:assert/strict";
import type { DescService } from "@bufbuild/protobuf";
import { openapi } from "../../src/entries/openapi.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { type Part, partOf } from "./open-document.ts";

/** A server with `openapi()`, whose rpcs have no handlers. */
export class OpenapiHost implements AsyncDisposable {
  readonly http: HttpServer;

  private constructor(http: HttpServer) {
    this.http = http;
  }

  static async of(
    services: readonly DescService[],
    options: Partial<HttpServerOptions> = {},
  ): Promise<OpenapiHost> {
    const upstream = new GrpcServer({ listen: false });
    const http = new HttpServer({
      port: 0,
      upstream,
      faces: [openapi()],
      logger: false,
      ...options,
    });
    for (const one of services) http.addService(one);
    await http.start();
    return new OpenapiHost(http);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.http.address?.port}`;
  }

  async document(query = "", path = "/openapi.json"): Promise<Part> {
    const response = await fetch(this.origin + path + query);
    assert.equal(response.status, 200, await response.clone().text());
    return partOf(await response.text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.gracefulStop();
  }
}
