import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Files } from "../../support/files-service.ts";
import { type Gateway, startGateway } from "../../support/gateway-fixture.ts";

/** A gateway before `Files`. */
export interface FilesGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly files: Files;
  readonly url: string;
}

/** Starts a gateway before `Files` and `Echo`. */
export async function startFiles(options: Partial<HttpServerOptions> = {}): Promise<FilesGateway> {
  const files = new Files();
  const gateway = await startGateway(options, [files]);
  return {
    gateway,
    files,
    url: gateway.url,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
    },
  };
}
