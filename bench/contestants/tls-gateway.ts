/** The combined gateway over TLS. Argument: the folder of certificates. */
import { join } from "node:path";
import { serveBench } from "./serve-bench.ts";

const file = (name: string): string => join(process.argv[2] ?? "", `${name}.pem`);
await serveBench({ tls: { cert: { file: file("server") }, key: { file: file("server-key") } } });
