import assert from "node:assert/strict";
import { test } from "node:test";
import { Exporter, Metrics } from "../../../src/entries/telemetry.ts";
import { dial, GrpcServer, HttpServer } from "../../../src/index.ts";

/** What JavaScript may pass. */
type Loose = (...args: unknown[]) => unknown;
const make = {
  HttpServer: (...args: unknown[]): unknown => Reflect.construct(HttpServer, args),
  GrpcServer: (...args: unknown[]): unknown => Reflect.construct(GrpcServer, args),
  Exporter: (...args: unknown[]): unknown => Reflect.construct(Exporter, args),
  dial: dial as Loose,
};
const kinds = 'a GrpcServer of this process, a target such as "users:42001", or a transport';
const targets = 'dial takes a GrpcServer of this process or a target such as "users:42001", not';

const refused: readonly [name: keyof typeof make, args: readonly unknown[], message: string][] = [
  ["HttpServer", [], "HttpServer: the options must be an object, not undefined"],
  ["HttpServer", [{}], `HttpServer: the option upstream is missing: it must be ${kinds}`],
  ["HttpServer", [{ upstream: 42 }], `HttpServer: the option upstream must be ${kinds}, not 42`],
  ["HttpServer", [{ upstream: {} }], `HttpServer: the option upstream must be ${kinds}, not {}`],
  [
    "HttpServer",
    [{ upstream: "x:1", port: "8080" }],
    "HttpServer: the option port must be a number, not '8080'",
  ],
  ["GrpcServer", [{ port: "0" }], "GrpcServer: the option port must be a number, not '0'"],
  ["GrpcServer", [42001], "GrpcServer: the options must be an object, not 42001"],
  ["Exporter", [], "Exporter: the options must be an object, not undefined"],
  ["Exporter", [{}], "Exporter: the option metrics is missing: it must be Metrics"],
  [
    "Exporter",
    [{ metrics: new Metrics(), port: "x" }],
    "Exporter: the option port must be a number, not 'x'",
  ],
  ["dial", [], `${targets} undefined`],
  ["dial", [50051], `${targets} 50051`],
  ["dial", [{}], `${targets} {}`],
  [
    "dial",
    ["x:1", { connectTimeoutMs: "5s" }],
    "dial: the option connectTimeoutMs must be a number, not '5s'",
  ],
  ["dial", ["x:1", null], "dial: the options must be an object, not null"],
];

for (const [name, args, message] of refused) {
  test(`JavaScript: ${message}`, () => {
    assert.throws(() => make[name](...args), { name: "TypeError", message });
  });
}
