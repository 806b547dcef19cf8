import assert from "node:assert/strict";
import { test } from "node:test";
import { checkOptions } from "../../../src/core/config/check-options.ts";
import { dialDefaults } from "../../../src/core/dial.ts";
import { grpcServerDefaults } from "../../../src/core/grpc-server.ts";
import { exporterDefaults } from "../../../src/core/telemetry/exporter.ts";
import { Exporter, Metrics } from "../../../src/entries/telemetry.ts";
import { dial, GrpcServer, HttpServer } from "../../../src/index.ts";
import { httpServerDefaults } from "../../../src/gateway/http-server-options.ts";

/** What JavaScript may pass. */
type Loose = (...args: unknown[]) => unknown;
const make = {
  HttpServer: (...args: unknown[]): unknown => Reflect.construct(HttpServer, args),
  GrpcServer: (...args: unknown[]): unknown => Reflect.construct(GrpcServer, args),
  Exporter: (...args: unknown[]): unknown => Reflect.construct(Exporter, args),
  dial: dial as Loose,
};
const kinds = 'a GrpcServer of this process, a target such as "users:42001", or a transport';
const targets =
  'dial takes a GrpcServer of this process, a target such as "users:42001", a list of such targets or a resolver, not';

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
  ["dial", ["x:1", { engine: "new" }], `dial: the option engine must be "own" or "node", not 'new'`],
  ["dial", ["x:1", null], "dial: the options must be an object, not null"],
  [
    "dial",
    ["x:1", { defaultTimeoutMs: "5s" }],
    "dial: the option defaultTimeoutMs must be a number, not '5s'",
  ],
  [
    "HttpServer",
    [{ upstream: "x:1", maxBodyByte: 1 }],
    'HttpServer: there is no option "maxBodyByte"; did you mean maxBodyBytes?',
  ],
  ["HttpServer", [{ upstraem: "x:1" }], 'HttpServer: there is no option "upstraem"; did you mean upstream?'],
  ["HttpServer", [{ upstream: "x:1", x: undefined }], 'HttpServer: there is no option "x"'],
  ["HttpServer", [{ upstream: "x:1", reservedPaths: [] }], 'HttpServer: there is no option "reservedPaths"'],
  [
    "HttpServer",
    [{ upstream: "x:1", dialOptions: { keepAlive: {} } }],
    'dial: there is no option "keepAlive"; did you mean keepalive?',
  ],
  [
    "GrpcServer",
    [{ port: 0, trustedPeer: [] }],
    'GrpcServer: there is no option "trustedPeer"; did you mean trustedPeers?',
  ],
  ["GrpcServer", [{ upstream: "x:1" }], 'GrpcServer: there is no option "upstream"'],
  ["GrpcServer", [{ toString: 1 }], 'GrpcServer: there is no option "toString"'],
  ["GrpcServer", [JSON.parse('{"__proto__":1}')], 'GrpcServer: there is no option "__proto__"'],
  [
    "Exporter",
    [{ metrics: new Metrics(), pth: "/" }],
    'Exporter: there is no option "pth"; did you mean path?',
  ],
  [
    "dial",
    ["x:1", { conectTimeoutMs: 1 }],
    'dial: there is no option "conectTimeoutMs"; did you mean connectTimeoutMs?',
  ],
  ["dial", [new GrpcServer({ listen: false }), { timeoutMs: 1 }], 'dial: there is no option "timeoutMs"'],
];

for (const [name, args, message] of refused) {
  test(`JavaScript: ${message}`, () => {
    assert.throws(() => make[name](...args), { name: "TypeError", message });
  });
}

test("every option of the defaults may be given", () => {
  const metrics = new Metrics();
  assert.ok(make.HttpServer({ ...httpServerDefaults, upstream: "x:1" }));
  assert.ok(make.GrpcServer({ ...grpcServerDefaults }));
  assert.ok(make.Exporter({ ...exporterDefaults, metrics }));
  assert.ok(make.dial("x:1", { ...dialDefaults }));
});

test("an option that is not known to its check does not compile", () => {
  const all = { a: undefined, b: 1 };
  checkOptions<{ readonly a?: string; readonly b: number }>("x", {}, all);
  // @ts-expect-error The optional option is not among the known ones.
  checkOptions<{ readonly a?: string; readonly b: number }>("x", {}, { b: 1 });
});
