import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import {
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescField,
  type DescMessage,
  type DescMethodUnary,
  type DescService,
  type FileRegistry,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { restTransport } from "../src/entries/rest.ts";
import { HttpServer } from "../src/index.ts";
import { freePort, listening } from "./listening.ts";
import { Checks, type Suite } from "./suite.ts";
import { goDescriptors, goModuleFile, goTool } from "./tools.ts";

const tool = "gapic-showcase";

/** A group of requests and rpcs: each request is sent to each rpc. */
interface Group {
  readonly name: string;
  /** `Compliance.RepeatDataBody` */
  readonly rpcs: readonly string[];
  readonly requests: readonly (JsonObject & { readonly name: string })[];
}

/** The server of the suite, and what it consists of. */
interface Showcase {
  readonly port: number;
  readonly registry: FileRegistry;
  readonly compliance: DescService;
  readonly groups: readonly Group[];
}

/** Runs with the server of the suite. */
async function withShowcase(run: (showcase: Showcase) => Promise<void>): Promise<void> {
  const binary = await goTool(tool);
  const registry = createFileRegistry(
    fromBinary(
      FileDescriptorSetSchema,
      await goDescriptors(tool, "github.com/googleapis/gapic-showcase/server/genproto"),
    ),
  );
  const path = await goModuleFile(tool, "server/services/compliance_suite.json");
  const { group: groups } = JSON.parse(await readFile(path, "utf8")) as { group: readonly Group[] };
  const compliance = registry.getService("google.showcase.v1beta1.Compliance");
  assert.ok(compliance);
  const port = await freePort();
  const child = spawn(binary, ["run", "--port", `:${port}`], { stdio: "ignore" });
  try {
    await listening(child, port);
    await run({ port, registry, compliance, groups });
  } finally {
    const closed = once(child, "exit");
    child.kill("SIGTERM");
    await closed;
  }
}

/** Calls `each` with every request of the suite and each of its rpcs, as one check. */
async function checkAll(
  checks: Checks,
  { groups }: Showcase,
  each: (rpc: string, request: JsonObject) => Promise<void>,
  prefix = "",
): Promise<void> {
  for (const { name, rpcs, requests } of groups) {
    for (const rpc of rpcs) {
      for (const request of requests) {
        await checks.check(`${prefix}${name} / ${rpc} / ${request.name}`, () => each(rpc, request));
      }
    }
  }
}

/** A gateway to the server of the suite, for the time of `run`; `routes` are those of its requests so far. */
async function withGateway(
  { port, compliance }: Showcase,
  run: (base: string, routes: readonly string[]) => Promise<void>,
): Promise<void> {
  const routes: string[] = [];
  const http = new HttpServer({
    port: 0,
    upstream: `127.0.0.1:${port}`,
    httpObservers: [{ httpRequest: (route) => void routes.push(route) }],
  });
  http.addService(compliance);
  try {
    await http.start();
    await run(`http://127.0.0.1:${http.address?.port}`, routes);
  } finally {
    await http.gracefulStop({ graceMs: 0 });
  }
}

/**
 * The compliance suite of gapic-showcase, Google's own transcoding reference: its requests over REST through our
 * gateway to its gRPC server, which compares what arrives with what the suite says.
 */
export const showcase: Suite = {
  name: tool,
  async run() {
    const checks = new Checks();
    await withShowcase((server) =>
      withGateway(server, (base, routes) =>
        checkAll(checks, server, async (rpc, request) => {
          await exchange(server.registry, base, rpc, request);
          const binding = request["intendedBindingUri"];
          if (binding !== undefined) assert.equal(routes.at(-1), binding);
        }),
      ),
    );
    return checks.result;
  },
};

/**
 * The same suite by our REST client: to the REST port of its server, which compares binding and message with what the
 * suite says, and through our gateway.
 */
export const showcaseClient: Suite = {
  name: "showcase-client",
  async run() {
    const checks = new Checks();
    await withShowcase(async (server) => {
      const call = async (baseUrl: string, rpc: string, request: JsonObject): Promise<void> => {
        // The header without which the server takes no request, as no client of Google's would send it.
        const transport = restTransport({
          baseUrl,
          headers: { "x-goog-api-client": "gl-node/26 rest/1 gapic/1" },
        });
        const method = server.compliance.methods.find(({ name }) => name === rpc.split(".")[1]);
        const schema = server.registry.getMessage("google.showcase.v1beta1.RepeatRequest");
        assert.ok(method && schema);
        const sent = fromJson(schema, request);
        const { message } = await transport.unary(
          method as DescMethodUnary,
          undefined,
          undefined,
          undefined,
          sent,
        );
        const { request: echoed } = toJson(method.output, message) as { request: JsonValue }; // RepeatResponse
        const same = Buffer.from(toBinary(schema, fromJson(schema, echoed))).equals(toBinary(schema, sent));
        if (!same) assert.deepEqual(echoed, toJson(schema, sent));
      };
      await checkAll(checks, server, (rpc, request) => call(`http://127.0.0.1:${server.port}`, rpc, request));
      const throughGateway = async (base: string, routes: readonly string[]): Promise<void> =>
        checkAll(
          checks,
          server,
          async (rpc, request) => {
            const { intendedBindingUri, ...rest } = request;
            // The gRPC server of the suite cannot see which binding was used; we check it here.
            const isVerified = intendedBindingUri === undefined;
            await call(
              base,
              rpc,
              isVerified ? request : { ...rest, serverVerify: false, intendedBindingUri },
            );
            if (!isVerified) assert.equal(routes.at(-1), intendedBindingUri);
          },
          "through our gateway / ",
        );
      await withGateway(server, throughGateway);
    });
    return checks.result;
  },
};

/** Sends one request of the suite by one of its rpcs, and compares the echo. */
async function exchange(
  registry: FileRegistry,
  base: string,
  rpc: string,
  request: JsonObject,
): Promise<void> {
  const schema = registry.getMessage("google.showcase.v1beta1.RepeatRequest");
  assert.ok(schema);
  const sent = fromJson(schema, request);
  // With JSON names of all fields, and values in canonical form.
  const canonical = toJson(schema, sent) as JsonObject; // Of a message.
  // The gRPC server of the suite cannot see which binding was used and would reject the request; we check the binding
  // here.
  if (request["intendedBindingUri"] !== undefined) delete canonical["serverVerify"];
  const expected = toBinary(schema, fromJson(schema, canonical));
  const response = await fetch(...restRequest(schema, base, rpc.split(".")[1] ?? "", canonical));
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const { request: echoed } = JSON.parse(text) as { request: JsonValue }; // google.showcase.v1beta1.RepeatResponse
  // Compared as binary, where a float has 32 bits.
  if (!Buffer.from(toBinary(schema, fromJson(schema, echoed))).equals(expected)) {
    assert.deepEqual(echoed, canonical);
  }
}

/** A REST request by the annotation of the rpc, as generated clients send it. */
function restRequest(
  schema: DescMessage,
  base: string,
  rpc: string,
  request: JsonObject,
): [string, RequestInit] {
  const json = { "content-type": "application/json" };
  const all = { headers: json, body: JSON.stringify(request) };
  switch (rpc) {
    case "RepeatDataBody":
      return [`${base}/v1beta1/repeat:body`, { method: "POST", ...all }];
    case "RepeatDataBodyPut":
      return [`${base}/v1beta1/repeat:bodyput`, { method: "PUT", ...all }];
    case "RepeatDataBodyPatch":
      return [`${base}/v1beta1/repeat:bodypatch`, { method: "PATCH", ...all }];
    case "RepeatDataBodyInfo": {
      const { info = {}, ...others } = request;
      const query = queryOf(schema, others, new Set());
      return [
        `${base}/v1beta1/repeat:bodyinfo?${query}`,
        { method: "POST", headers: json, body: JSON.stringify(info) },
      ];
    }
    case "RepeatDataQuery":
      return [`${base}/v1beta1/repeat:query?${queryOf(schema, request, new Set())}`, {}];
    case "RepeatDataSimplePath":
      return byPath(
        schema,
        base,
        request,
        ["fString", "fInt32", "fDouble", "fBool", "fKingdom"],
        ":simplepath",
      );
    case "RepeatDataPathResource":
      return byResource(schema, base, request);
    default:
      throw new Error(`the suite has a new rpc, ${rpc}`);
  }
}

function byPath(
  schema: DescMessage,
  base: string,
  request: JsonObject,
  names: readonly string[],
  verb: string,
): [string, RequestInit] {
  const info = (request["info"] ?? {}) as JsonObject;
  const values = names.map((name) => encodeURIComponent(text(info[name] ?? defaults[name])));
  const bound = new Set(names.map((name) => `info.${name}`));
  return [`${base}/v1beta1/repeat/${values.join("/")}${verb}?${queryOf(schema, request, bound)}`, {}];
}

/** Values that JSON omits. */
const defaults: Readonly<Record<string, string>> = {
  fInt32: "0",
  fDouble: "0",
  fBool: "false",
  fKingdom: "LIFE_KINGDOM_UNSPECIFIED",
};

/** The first binding of the rpc whose patterns the values match. */
function byResource(schema: DescMessage, base: string, request: JsonObject): [string, RequestInit] {
  const info = (request["info"] ?? {}) as JsonObject;
  const own = text(info["fString"]);
  const child = text((info["fChild"] as JsonObject | undefined)?.["fString"]);
  const bool = text(info["fBool"] ?? false);
  const [first, second, verb] = own.startsWith("first/")
    ? [own, child, ":pathresource"]
    : [child, own, ":childfirstpathresource"];
  const query = queryOf(schema, request, new Set(["info.fString", "info.fChild.fString", "info.fBool"]));
  return [`${base}/v1beta1/repeat/${encodeURI(first)}/${encodeURI(second)}/bool/${bool}${verb}?${query}`, {}];
}

/** Every field of a message, but those bound elsewhere, as a query. */
function queryOf(schema: DescMessage, message: JsonObject, bound: ReadonlySet<string>): string {
  const query = new URLSearchParams();
  const add = (desc: DescMessage, value: JsonObject, prefix: string): void => {
    for (const [name, member] of Object.entries(value)) {
      const path = `${prefix}${name}`;
      const field: DescField | undefined = desc.fields.find(({ jsonName }) => jsonName === name);
      if (bound.has(path) || field === undefined) continue;
      if (field.fieldKind === "message" && !field.message.typeName.startsWith("google.protobuf.")) {
        add(field.message, member as JsonObject, `${path}.`); // The JSON of a message.
      } else if (Array.isArray(member)) {
        for (const one of member) query.append(path, text(one));
      } else {
        query.append(path, text(member));
      }
    }
  };
  add(schema, message, "");
  return query.toString();
}

/** A JSON scalar as text for a URL. */
function text(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}
