/** Bare servers of Node that answer every request alike. Arguments: `http`, `http2` or `https`, and for the last the folder of certificates. */
import { readFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { createServer as createHttps } from "node:https";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { takePart } from "./take-part.ts";

const [kind, folder = ""] = process.argv.slice(2);
const file = (name: string): Buffer => readFileSync(join(folder, `${name}.pem`));
const text = JSON.stringify({ ok: true });
const headers = { "content-type": "application/json", "content-length": text.length };

const server =
  kind === "http2"
    ? createHttp2((_, reply) => reply.writeHead(200, headers).end(text))
    : kind === "https"
      ? createHttps({ cert: file("server"), key: file("server-key") }, (_, reply) =>
          reply.writeHead(200, headers).end(text),
        )
      : createHttp((_, reply) => reply.writeHead(200, headers).end(text));
if ("keepAliveTimeout" in server) server.keepAliveTimeout = 600_000; // A slow client still has its connections.
server.listen(0, "127.0.0.1", () => takePart({ port: (server.address() as AddressInfo).port })); // It listens.
