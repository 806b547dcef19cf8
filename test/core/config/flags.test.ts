import assert from "node:assert/strict";
import { test } from "node:test";
import {
  choiceFlag,
  countFlag,
  durationFlag,
  eitherFlag,
  listFlag,
  optionalFlag,
  pathFlag,
  portFlag,
  portOrOffFlag,
  sizeFlag,
  switchFlag,
  textFlag,
} from "../../../src/core/config/flag-kinds.ts";
import { readCommandLine } from "../../../src/core/config/flags.ts";

const group = {
  grpcHost: textFlag("HOST", "127.0.0.1", "Address"),
  grpcPort: portFlag(42001, "Port"),
  exporterPort: portOrOffFlag(4242, "Metrics port"),
  exporterPath: pathFlag("/metrics", "Metrics path"),
  forwardHeader: listFlag("NAME", "Header"),
  grpcCa: optionalFlag("FILE", "Certificates"),
  reflection: switchFlag("Ask"),
  unknownQuery: choiceFlag(["ignore", "reject"], "ignore", "What to do"),
  drainDelay: durationFlag(0, "Wait"),
  maxMessage: sizeFlag(1024 * 1024, "Largest"),
  maxEntries: countFlag(100, "Most"),
  openapi: eitherFlag("on with a port", "Document"),
} as const;

const good: [string, Record<string, unknown>][] = [
  ["", {}],
  ["--grpc-port 1", { grpcPort: 1 }],
  ["--grpc-port=1", { grpcPort: 1 }],
  ["-grpc-port 1", { grpcPort: 1 }],
  ["-grpc-port=65535", { grpcPort: 65535 }],
  ["--grpc-port 1 --grpc-port 2", { grpcPort: 2 }],
  ["-- --grpc-port 1", { grpcPort: 1 }],
  ["--exporter-port off", { exporterPort: "off" }],
  ["--exporter-port 0", { exporterPort: 0 }],
  ["--exporter-path=/m?a=b", { exporterPath: "/m?a=b" }],
  ["--forward-header a --forward-header=b -forward-header c", { forwardHeader: ["a", "b", "c"] }],
  ["--grpc-ca ca.pem", { grpcCa: "ca.pem" }],
  ["--reflection --grpc-port 3", { reflection: true, grpcPort: 3 }],
  ["--reflection=false", { reflection: false }],
  ["--no-reflection", { reflection: false }],
  ["--reflection --no-reflection", { reflection: false }],
  ["--openapi", { openapi: true }],
  ["--no-openapi", { openapi: false }],
  ["--no-openapi --openapi", { openapi: true }],
  ["--unknown-query reject", { unknownQuery: "reject" }],
  ["--drain-delay 250ms", { drainDelay: 250 }],
  ["--drain-delay 1.5s", { drainDelay: 1500 }],
  ["--drain-delay 2m", { drainDelay: 120_000 }],
  ["--drain-delay 1h", { drainDelay: 3_600_000 }],
  ["--drain-delay 0", { drainDelay: 0 }],
  ["--max-message 1", { maxMessage: 1 }],
  ["--max-message 64KiB", { maxMessage: 65_536 }],
  ["--max-message 3MiB", { maxMessage: 3_145_728 }],
  ["--max-message 1GiB", { maxMessage: 1_073_741_824 }],
  ["--max-entries 0", { maxEntries: 0 }],
  ["--max-entries 250000", { maxEntries: 250_000 }],
  ["--grpc-host ::1", { grpcHost: "::1" }],
];

for (const [line, expected] of good) {
  test(`flags: ${line === "" ? "none" : line}`, () => {
    const result = readCommandLine("p", group, line.split(" ").filter(Boolean));
    assert.equal(result.kind, "run");
    const { given, ...values } = result.flags;
    assert.deepEqual(values, {
      grpcHost: "127.0.0.1",
      grpcPort: 42001,
      exporterPort: 4242,
      exporterPath: "/metrics",
      forwardHeader: [],
      grpcCa: undefined,
      reflection: false,
      unknownQuery: "ignore",
      drainDelay: 0,
      maxMessage: 1_048_576,
      maxEntries: 100,
      openapi: undefined,
      ...expected,
    });
    assert.deepEqual([...given].sort(), Object.keys(expected).sort());
  });
}

const bad: [string, RegExp][] = [
  ["--grpc-prot 1", /unknown flag --grpc-prot, did you mean --grpc-port\?/],
  ["--no-grpc-port", /unknown flag --no-grpc-port\n/],
  ["--no-openapi=true", /--no-openapi takes no value: give --openapi=true/],
  ["--no-", /unknown flag --no-\n/],
  ["--zzz", /unknown flag --zzz\n/],
  ["--constructor 1", /unknown flag --constructor\n/],
  ["--__proto__ 1", /unexpected argument "--__proto__"|unknown flag --__proto__/],
  ["--verison", /did you mean --version\?/],
  ["--grpc-port", /--grpc-port needs a value: --grpc-port PORT/],
  ["--max-message 1MB", /bad value "1MB" for --max-message: must be a size such as 4096, 64KiB or 1MiB/],
  ["--max-message 1.5MiB", /must be a size/],
  ["--max-message KiB", /must be a size/],
  ["--max-message 0", /must be at least 1 byte and less than 2GiB/],
  ["--max-message 2GiB", /less than 2GiB/],
  ["--max-entries -1", /bad value "-1" for --max-entries: must be a whole number from 0 to 999999999/],
  ["--max-entries 1e3", /must be a whole number/],
  ["--grpc-port x", /bad value "x" for --grpc-port: must be a port from 0 to 65535/],
  ["--grpc-port 65536", /bad value "65536" for --grpc-port/],
  ["--grpc-port -1", /bad value "-1" for --grpc-port/],
  ["--grpc-port 1e3", /bad value "1e3" for --grpc-port/],
  ["--grpc-port off", /bad value "off" for --grpc-port/],
  ["--exporter-port on", /--exporter-port: must be a port from 0 to 65535 or "off"/],
  ["--exporter-path metrics", /--exporter-path: must begin with a slash/],
  ["--grpc-host=", /bad value "" for --grpc-host: must not be empty/],
  ["--reflection=maybe", /--reflection: takes true, false or no value/],
  ["--unknown-query drop", /--unknown-query: must be one of ignore, reject/],
  ["--drain-delay 5", /--drain-delay: must be a duration such as/],
  ["--drain-delay -5s", /--drain-delay: must be a duration/],
  ["--drain-delay 30d", /--drain-delay/],
  ["--drain-delay 9999h", /--drain-delay: must be shorter than 24 days/],
  ["serve", /unexpected argument "serve"/],
];

for (const [line, expected] of bad) {
  test(`flags refused: ${line}`, () => {
    const result = readCommandLine("p", group, line.split(" "));
    assert.equal(result.kind, "refuse");
    assert.match(result.text, expected);
    assert.match(result.text, /^p: .*\n.*--help/);
  });
}

const places = [
  { name: "TARGET", help: "A server" },
  { name: "RPC", help: "An rpc", isOptional: true, choices: ["Get", "Put"] },
  { name: "FIELD=VALUE", help: "Fields", isOptional: true, isRepeatable: true },
];
const short = { data: { ...optionalFlag("JSON", "Request"), short: "d" }, reflection: switchFlag("Ask") };

const placed: [string, readonly string[] | RegExp][] = [
  ["a:1", ["a:1"]],
  ["a:1 Get x=1 y=2", ["a:1", "Get", "x=1", "y=2"]],
  ["--reflection a:1 -d {} Get", ["a:1", "Get"]],
  ["a:1 Get -- -d --x", ["a:1", "Get", "-d", "--x"]],
  ["a:1 Get -- --", ["a:1", "Get", "--"]],
  ["- Get", ["-", "Get"]],
  ["", /TARGET is missing: A server\n/],
  ["a:1 Gett", /RPC must be one of Get, Put, not "Gett", did you mean Get\?/],
  ["a:1 Get x=1 --nix", /unknown flag --nix\n/],
  ["a:1 -1", /unexpected argument "-1"/],
];

for (const [line, expected] of placed) {
  test(`flags with arguments between them: ${line === "" ? "none" : line}`, () => {
    const result = readCommandLine("p", short, line.split(" ").filter(Boolean), places);
    if (expected instanceof RegExp) {
      assert.equal(result.kind, "refuse");
      assert.match(result.text, expected);
    } else {
      assert.equal(result.kind, "run");
      assert.deepEqual(result.args, expected);
      assert.equal(result.flags.data, line.includes(" -d {}") ? "{}" : undefined);
    }
  });
}

test("--help shows arguments in their places, and short names of flags", () => {
  const result = readCommandLine("p", short, ["-h"], places);
  assert.equal(result.kind, "print");
  assert.match(
    result.text,
    /^Usage: p TARGET \[RPC\] \[FIELD=VALUE…\] \[flags\]\n\nArguments:\n {2}TARGET +A server\n/,
  );
  assert.match(result.text, /\n {2}-d, --data JSON +Request\n/);
});

test("--help lists every flag with its default, also after good flags", () => {
  const result = readCommandLine("p", group, ["--grpc-port", "1", "--help"]);
  assert.equal(result.kind, "print");
  const lines = result.text.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
  assert.deepEqual(lines, [
    "Usage: p [flags]",
    "",
    "Flags:",
    "--grpc-host HOST | Address (default: 127.0.0.1)",
    "--grpc-port PORT | Port (default: 42001)",
    "--exporter-port PORT|off | Metrics port (default: 4242)",
    "--exporter-path PATH | Metrics path (default: /metrics)",
    "--forward-header NAME | Header (repeatable)",
    "--grpc-ca FILE | Certificates",
    "--reflection | Ask (default: off)",
    "--unknown-query ignore|reject | What to do (default: ignore)",
    "--drain-delay DURATION | Wait (default: 0)",
    "--max-message SIZE | Largest (default: 1MiB)",
    "--max-entries NUMBER | Most (default: 100)",
    "--[no-]openapi | Document (default: on with a port)",
    "--version | Print the version",
    "--help | Print this list",
    "",
  ]);
});

test("--version prints the package's version", () => {
  const result = readCommandLine("p", group, ["--version"]);
  assert.equal(result.kind, "print");
  assert.match(result.text, /^ts-ms \d+\.\d+\.\d+\n$/);
});
