import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import { clientTls } from "../net/client-tls.ts";
import { parseTarget } from "../net/target.ts";
import type { Answer, Question } from "./polled-check.ts";

/** Asks by GET of a path on the same address, over HTTP/1.1: any status of 2xx is good. */
export function httpQuestion(address: string, path: string, options: MergedConnectionOptions): Question {
  const { addresses, host, authority } = parseTarget(address);
  const [first] = addresses;
  const { tls } = options;
  const tlsOptions = tls === false ? undefined : clientTls(tls === true ? {} : tls);
  const createConnection = (): Socket =>
    tlsOptions === undefined
      ? connect(first)
      : connectTls({ ...tlsOptions(host), ALPNProtocols: ["http/1.1"], ...first });
  const headers = { host: options.authority ?? authority, connection: "close" };
  return (_connection, signal) =>
    new Promise<Answer>((resolve) => {
      request({ path, headers, createConnection, signal }, (response) => {
        const { statusCode = 0 } = response;
        response.resume();
        resolve(statusCode >= 200 && statusCode < 300 ? "serving" : "failed");
      })
        .on("error", () => resolve("failed"))
        .end();
    });
}
