/** The combined gateway with HTTP/3, whose port is that of UDP. Argument: the folder of certificates. */
import { join } from "node:path";
import { http3 } from "../../src/entries/http3.ts";
import { serveBench } from "./serve-bench.ts";

const file = (name: string): string => join(process.argv[2] ?? "", `${name}.pem`);
await serveBench(
  { tls: { cert: { file: file("server") }, key: { file: file("server-key") } }, http3: http3({ port: 0 }) },
  ({ http3Address }) => http3Address?.port,
);
