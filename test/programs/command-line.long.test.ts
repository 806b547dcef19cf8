import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { test } from "node:test";
import { parseFlags, upstreamFlags, upstreamOf } from "../../src/entries/flags.ts";
import { curl, Program } from "../support/program.ts";

const programs = ["grpc-only", "http-only", "gateway"] as const;
const free = ["--grpc-port=0", "--exporter-port=0"];

/** What a program that ends by itself printed, and its exit code. */
async function outcome(name: string, ...args: string[]) {
  await using program = new Program(`examples/${name}.ts`, ...args);
  const { code } = await program.exit();
  return { code, lines: program.lines, errors: program.errors };
}

/** A port that somebody else has. */
async function taken(
  port = 0,
  host = "127.0.0.1",
): Promise<Server & { readonly port: number } & AsyncDisposable> {
  const server = createServer().listen(port, host);
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return Object.assign(server, { port: address.port });
}

for (const name of programs) {
  test(`${name} --help lists its flags with their defaults and ends with 0`, async () => {
    const { code, lines, errors } = await outcome(name, "--help");
    assert.deepEqual([code, errors], [0, ""]);
    const help = lines.join("\n");
    assert.match(help, /--grpc-port PORT .*\(default: 42001\)/);
    assert.match(help, /--exporter-port PORT\|off .*\(default: 4242\)/);
    assert.equal(/--http-port PORT .*\(default: 8080\)/.test(help), name !== "grpc-only");
    assert.equal(help.includes("--descriptors FILE"), name === "http-only");
  });

  test(`${name} --version`, async () => {
    const { code, lines } = await outcome(name, "-version");
    assert.equal(code, 0);
    assert.match(lines.join(), /^ts-ms \d+\.\d+\.\d+$/);
  });

  test(`${name} names an unknown flag and ends with 2`, async () => {
    const { code, lines, errors } = await outcome(name, "--grpc-prot", "1");
    assert.deepEqual([code, lines], [2, []]);
    assert.match(errors, /^.*unknown flag --grpc-prot, did you mean --grpc-port\?\n/);
  });

  test(`${name} names a bad value and ends with 2`, async () => {
    const { code, errors } = await outcome(name, "--drain-delay=soon");
    assert.equal(code, 2);
    assert.match(errors, /bad value "soon" for --drain-delay: must be a duration/);
  });
}

for (const [args, expected] of [
  [["--descriptors=nowhere.binpb"], /bad value "nowhere.binpb" for --descriptors: cannot be read: .*ENOENT/],
  [["--rules", "nowhere.yaml"], /bad value "nowhere.yaml" for --rules/],
  [["--forward-header=host"], /bad value "host" for --forward-header: can never be forwarded: it belongs/],
  [["--forward-header", "a b"], /bad value "a b" for --forward-header: is no name of a header/],
  [["--max-body=0"], /bad value "0" for --max-body: must be at least 1 byte/],
  [
    ["--reflection", "--proto=x.proto"],
    /--reflection and --proto exclude each other|--proto and --reflection/,
  ],
] as const) {
  test(`http-only ${args.join(" ")} ends with 2`, async () => {
    const { code, errors } = await outcome("http-only", ...args);
    assert.equal(code, 2);
    assert.match(errors, expected);
  });
}

test("http-only names a service that is not there and ends with 1", async () => {
  const { code, errors } = await outcome("http-only", "--http-port=0", "--exporter-port=0", "--service=a.B");
  assert.equal(code, 1);
  assert.match(errors, /no service a\.B; they have go\.micro\.service\.goms\.GoMs/);
});

for (const [name, flag, server] of [
  ["grpc-only", "--grpc-port", "GRPC"],
  ["gateway", "--grpc-port", "GRPC"],
  ["gateway", "--http-port", "HTTP"],
  ["http-only", "--http-port", "HTTP"],
  ["gateway", "--exporter-port", "EXPORTER"],
  ["grpc-only", "--exporter-port", "EXPORTER"],
] as const) {
  test(`${name}: a taken ${flag} is one line with host, port and cause, and ends with 1`, async () => {
    await using other = await taken();
    const others = ["--grpc-port=0", "--http-port=0", "--exporter-port=0"].filter(
      (other) => !(name === "grpc-only" && other.startsWith("--http")) && !other.startsWith(flag),
    );
    const { code, errors } = await outcome(name, ...others, `${flag}=${other.port}`);
    assert.equal(code, 1);
    assert.equal(
      errors,
      `${server} cannot listen on 127.0.0.1:${other.port}: address already in use (EADDRINUSE)\n`,
    );
  });
}

const impossible: readonly [program: string, args: readonly string[], line: RegExp][] = [
  ["http-only", ["--timeout=10m"], /^--timeout is longer than --max-timeout, .*\n$/],
  ["gateway", ["--rules=package.json"], /^package\.json:\d+:\d+: version: unknown key\n$/],
  ["http-only", ["--descriptors=package.json"], /^package\.json: not a binary .*FileDescriptorSet\n$/],
  ["http-only", ["--service=none.Such"], /^the contracts have no service none\.Such; .*\n$/],
];
for (const [name, args, line] of impossible) {
  test(`${name}: ${args.join(" ")} is one line that names it, and ends with 1`, async () => {
    const { code, errors } = await outcome(name, "--exporter-port=off", ...args);
    assert.equal(code, 1);
    assert.match(errors, line);
  });
}

const unusable: typeof impossible = [
  ["grpc-only", ["--tls-cert=package.json"], /^--tls-cert and --tls-key must be given together\n$/],
  [
    "gateway",
    ["--tls-cert=LICENSE", "--tls-key=LICENSE"],
    /^--tls-cert LICENSE: it holds no certificate .*\n$/,
  ],
  [
    "gateway",
    ["--tls-cert=src", "--tls-key=LICENSE"],
    /^gateway: bad value "src" for --tls-cert: is a folder/,
  ],
  ["grpc-only", ["--tls-cert=none.pem"], /^grpc-only: bad value "none.pem" for --tls-cert: cannot be read/],
  ["http-only", ["--grpc-cert=package.json"], /^--grpc-cert and --grpc-key must be given together\n$/],
  ["http-only", ["--grpc-ca=LICENSE"], /^--grpc-ca LICENSE: it holds no certificate in PEM form\n$/],
  ["http-only", ["--grpc-ca=src"], /^http-only: bad value "src" for --grpc-ca: is a folder, not a file\n/],
  ["http-only", ["--upstream=a=b:1", "--grpc-port=1"], /--upstream and --grpc-port exclude each other\n/],
  ["http-only", ["--discover=consul:a", "--grpc-host=a"], /--discover and --grpc-host exclude each other\n/],
  ["http-only", ["--upstream=users="], /bad value "users=" for --upstream: must be TARGET or NAME=TARGET\n/],
  ["http-only", ["--discover=etcd:a"], /for --discover: must be consul:TAG or k8s:SELECTOR\n/],
  [
    "http-only",
    ["--discover=k8s:app in users"],
    /^--discover k8s:app in users: "app in users" is no label selector of Kubernetes, such as /,
  ],
  [
    "http-only",
    ["--discover=k8s:app=users"],
    /^--discover k8s:app=users: this process runs in no pod of Kubernetes: kubernetesCatalog of ts-ms.kubernetes has /,
  ],
  ["http-only", ["--balance=fair"], /for --balance: must be one of p2c, round_robin/],
  ["http-only", ["--upstream=a:1", "--upstream=a:1"], /--upstream: a:1 is given twice/],
  ["http-only", ["--upstream=a:1", "--upstream=b:1", "--service=x.Y"], /--service is for one upstream/],
  ["http-only", ["--grpc-host=a b"], /^http-only: bad value "a b" for --grpc-host: must be a host name/],
  [
    "http-only",
    ["--grpc-host=localhost:50051"],
    /for --grpc-host: the port goes into a flag of its own: localhost, --grpc-port 50051\n/,
  ],
  ["grpc-only", ["--grpc-host=[::1]:50051"], /a flag of its own: ::1, --grpc-port 50051\n/],
  [
    "gateway",
    ["--cors-origin=*", "--cors-credentials"],
    /^--cors-credentials with --cors-origin \* would let every page .*\n$/,
  ],
  [
    "http-only",
    ["--cors-origin=https://a.example", "--cors-origin=null", "--cors-credentials"],
    /^--cors-credentials with --cors-origin null would let every page .*\n$/,
  ],
  [
    "http-only",
    ["--cors-origin=*", "--cors-credentials"],
    /^--cors-credentials with --cors-origin \* would let every page .*\n$/,
  ],
  [
    "gateway",
    ["--cors-origin=foo"],
    /^gateway: bad value "foo" for --cors-origin: is no origin, write it as .*\n/,
  ],
  [
    "http-only",
    ["--cors-origin=*", "--cors-origin=https://a.example/"],
    /^http-only: bad value "https:\/\/a\.example\/" for --cors-origin: is no origin, .*\n/,
  ],
  [
    "gateway",
    ["--websocket-origin=foo"],
    /^gateway: bad value "foo" for --websocket-origin: is no origin, write it as .*\n/,
  ],
  [
    "http-only",
    ["--websocket-origin=ftp://a.example"],
    /^http-only: bad value "ftp:\/\/a\.example" for --websocket-origin: is no origin, .*\n/,
  ],
  ["gateway", ["--http-host=http://localhost"], /for --http-host: must be a host name, .* without scheme/],
];
for (const [name, args, line] of unusable) {
  test(`${name}: ${args.join(" ")} names flag and value, and ends with 2`, async () => {
    const { code, errors } = await outcome(name, "--exporter-port=off", ...args);
    assert.equal(code, 2);
    assert.match(errors, line);
  });
}

test("an IPv6 address is a host with and without brackets", () => {
  for (const host of ["::1", "[::1]"]) {
    const flags = parseFlags("http-only", upstreamFlags, ["--grpc-host", host, "--grpc-port", "1"]);
    assert.equal(upstreamOf(flags).target, "[::1]:1");
  }
});

test("the exporter's default port taken is a warning that names the flag, and the program goes on", async () => {
  // An address of our own where there is one, since programs of other tests may have the port on the usual one.
  const host = process.platform === "linux" ? "127.0.0.2" : "127.0.0.1";
  await using _other = await taken(4242, host);
  await using program = new Program("examples/grpc-only.ts", "--grpc-port=0", `--exporter-host=${host}`);
  await program.line(/^Try: /);
  await program.error(new RegExp(`"level":40.*${host}:4242.*--exporter-port`));
  assert.ok(!program.lines.some((line) => line.startsWith("[EXPORTER]")));
  assert.equal((await program.stop()).code, 0);
});

test("an exporter's address that cannot be bound is an error, whatever the port", async () => {
  const { code, errors } = await outcome("grpc-only", "--grpc-port=0", "--exporter-host=192.0.2.1");
  assert.equal(code, 1);
  assert.match(errors, /^EXPORTER cannot listen on 192\.0\.2\.1:4242: .*EADDRNOTAVAIL/);
});

test("--exporter-port off serves no metrics, 0 picks a port, --exporter-path moves the page", async () => {
  await using none = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port", "off");
  await none.line(/^Try: /);
  assert.ok(!none.lines.some((line) => line.startsWith("[EXPORTER]")));
  await using some = new Program("examples/grpc-only.ts", ...free, "--exporter-path=/m");
  const page = await some.metrics();
  assert.match(page, /^http:\/\/127\.0\.0\.1:[1-9]\d*\/m$/);
  assert.equal((await curl(page)).status, 200);
  assert.equal((await curl(page.replace("/m", "/metrics"))).status, 404);
});
