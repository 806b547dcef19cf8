import { join } from "node:path";
import { App } from "../../src/index.ts";
import { createCertificate } from "../../test/support/certificates.ts";
import { Echo } from "../../test/support/echo-service.ts";
import { createIssuerKey, FakeIssuer } from "../../test/support/fake-issuer.ts";
import { OtlpReceiver } from "../../test/support/otlp-receiver.ts";
import { run, type CommandResult } from "../../test/support/program.ts";
import { TemporaryFiles } from "../../test/support/temporary-files.ts";

const service = "tsms.test.v1.EchoService";

/** A program by a configuration with all sections that have metrics, and calls of it. */
export interface ScrapedApp extends AsyncDisposable {
  /** The metrics page. */
  readonly metrics: string;
  /** Files that are gone with the program. */
  readonly files: TemporaryFiles;
  /** Calls `Echo` or another route over HTTPS with a good token. @returns the status */
  rest(path: string, body?: object, ...args: readonly string[]): Promise<number>;
  /** The same without a token. */
  anonymous(path: string): Promise<number>;
  /** Calls `Echo` over gRPC with a good token. */
  grpc(data: string): Promise<CommandResult>;
}

/** Starts the program, an issuer of tokens and a receiver of spans. */
export async function startScrapedApp(): Promise<ScrapedApp> {
  await using stack = new AsyncDisposableStack();
  const files = stack.use(await TemporaryFiles.create());
  const key = await createIssuerKey("one");
  const issuer = stack.use(await FakeIssuer.start(key));
  const receiver = await new OtlpReceiver().start();
  stack.defer(() => receiver.stop());
  const authority = createCertificate({ name: "authority" });
  const server = createCertificate({ name: "localhost", hosts: ["localhost"], issuer: authority });
  const ca = await files.write("ca.pem", authority.cert);
  const config = await files.write(
    "config.yaml",
    `app: { name: scraped }
http: { port: 0, unknown_query: ignore }
grpc: { port: 0 }
tls: { cert: ${await files.write("tls.crt", server.cert)}, key: ${await files.write("tls.key", server.key)} }
auth: { providers: { corp: { jwt: { issuer: "${issuer.url}", audiences: [library] } } } }
access:
  default: authenticated
  rules:
    ${service}/Collect: { level: deny }
    ${service}/Echo: { audit: true }
limits: { few: { rpc: ["${service}/Repeat"], key: [principal], rate: 3/1h } }
overload: { max_concurrent: 2, queue: 0, target_lag: 1m }
session: {}
audit: { destination: ${join(files.folder, "audit.log")} }
telemetry:
  log: { level: silent }
  access_log: { destination: ${join(files.folder, "access.log")} }
  metrics: { port: 0 }
  tracing: { endpoint: "${receiver.url}", sample_ratio: 1 }
`,
  );
  const app = stack.use(await App.load({ argv: ["--config", config], env: {} }));
  await app.addService(new Echo()).start();
  const portOf = (name: string): string => {
    const [address = ""] = app.servers.find((one) => one.name === name)?.addresses ?? [];
    return address.slice(address.lastIndexOf(":") + 1);
  };
  const token = `authorization: Bearer ${await issuer.token(key)}`;
  const [http, grpc] = [`https://localhost:${portOf("http")}`, `https://localhost:${portOf("grpc")}`];
  const curl = async (path: string, args: readonly string[]): Promise<number> => {
    const common = ["-sS", "--cacert", ca, "-o", "/dev/null", "-w", "%{http_code}"];
    const { stdout, stderr } = await run("curl", ...common, ...args, http + path);
    if (stdout === "000") throw new Error(stderr);
    return Number(stdout);
  };
  const rest: ScrapedApp["rest"] = (path, body, ...args) => {
    const json = ["-H", "content-type: application/json", "-d", JSON.stringify(body)];
    return curl(path, ["-H", token, ...(body === undefined ? [] : json), ...args]);
  };
  // Tokens are refused until the keys of the issuer are there.
  while ((await rest("/test/v1/echo/first")) === 503);
  const held = stack.move();
  return {
    metrics: `http://127.0.0.1:${portOf("exporter")}/metrics`,
    files,
    rest,
    anonymous: (path) => curl(path, []),
    grpc: (data) =>
      run(
        "buf",
        "curl",
        ...["--protocol", "grpc", "--schema", "proto", "--cacert", ca, "-H", token, "-d", data],
        `${grpc}/${service}/Echo`,
      ),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
