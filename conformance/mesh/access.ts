import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect } from "node:net";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { Code, ConnectError, createClient, dial } from "../../src/index.ts";
import type { Checks } from "../suite.ts";
import { names, type Mesh } from "./topology.ts";

/** The rate limit as its file has it. */
interface Limit {
  readonly token_bucket: { readonly max_tokens: number };
}

type Caller = keyof typeof names;

/** Who may call what: certificates, policies, tokens, and what passes whole. */
export async function access(checks: Checks, mesh: Mesh): Promise<void> {
  await checks.check("plain text is refused by both sidecars", async () => {
    for (const address of [mesh.gatewaySidecar, mesh.librarySidecar]) {
      const port = Number(address.split(":")[1]);
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.resume().write("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n");
      await once(socket, "close");
      assert.equal(socket.bytesRead, 0);
    }
    await using plain = dial(mesh.librarySidecar);
    await assert.rejects(createClient(LibraryService, plain).listShelves({}), codeIs(Code.Unavailable));
  });
  await checks.check("a wrong SPIFFE name is c=7 over gRPC and 403 over HTTP", async () => {
    for (const [caller, code] of [
      ["stranger", Code.PermissionDenied],
      ["ingress", Code.PermissionDenied], // It has no token.
      ["gateway", undefined],
    ] as const) {
      await using transport = dialAs(mesh, caller);
      const call = createClient(LibraryService, transport).listShelves({});
      if (code === undefined) await call;
      else await assert.rejects(call, codeIs(code), caller);
    }
    assert.equal((await get(mesh, "stranger", "/v1/shelves")).statusCode, 403);
  });
  await checks.check("the edge may read with a token, and write nothing", async () => {
    await using transport = dialAs(mesh, "ingress");
    const client = createClient(LibraryService, transport);
    const headers = { authorization: `Bearer ${await goodToken(mesh)}` };
    await client.listShelves({}, { headers });
    await assert.rejects(client.createShelf({}, { headers }), codeIs(Code.PermissionDenied));
  });
  await checks.check(
    "no token is 401 by the gateway, a wrong one 401 by its sidecar, a good one is served",
    async () => {
      const none = await get(mesh, "ingress", "/v1/shelves");
      assert.equal(none.statusCode, 401);
      assert.match(none.headers["www-authenticate"] ?? "", /^Bearer/);
      const foreign = await mesh.tokens.token("https://elsewhere.example.com", "shop");
      assert.equal((await get(mesh, "ingress", "/v1/shelves", foreign)).statusCode, 401);
      assert.equal((await get(mesh, "ingress", "/v1/shelves", await goodToken(mesh))).statusCode, 200);
    },
  );
  await checks.check("deadlines and x-forwarded-client-cert pass whole", async () => {
    await using transport = dial(mesh.outbound);
    const client = createClient(LibraryService, transport);
    for (const timeoutMs of [500, 20_000, 250_000]) {
      for (const pod of [...mesh.stable, mesh.canary]) pod.clear();
      await client.createShelf({}, { timeoutMs });
      const seen = [...mesh.stable, mesh.canary].flatMap(({ calls }) => calls);
      assert.equal(seen.length, 1);
      const leftMs = seen[0]?.timeoutMs ?? 0;
      assert.ok(leftMs <= timeoutMs && leftMs > timeoutMs - 400, `${leftMs} of ${timeoutMs} ms`);
      assert.deepEqual(seen[0]?.callers, [names.gateway]);
    }
  });
}

/** What a burst is answered with, and which requests are logged. */
export async function limits(checks: Checks, mesh: Mesh): Promise<void> {
  await checks.check("more requests than the rate limit has are 429", async () => {
    const [filter] = mesh.manifests.named("EnvoyFilter", "rate-limit")?.spec.configPatches ?? [];
    const { typed_config: limit } = (filter ?? assert.fail()).patch.value as { typed_config: Limit }; // As the file has it.
    const statuses = await burst(mesh, 12_000);
    const said = JSON.stringify([...statuses]);
    assert.ok((statuses.get("200") ?? 0) >= limit.token_bucket.max_tokens, said);
    assert.ok((statuses.get("429") ?? 0) > 0, said);
  });
  await checks.check("errors are logged, calls that went well are not", async () => {
    await delay(2_500); // The bucket is full again.
    for (const pod of [...mesh.stable, mesh.canary]) pod.fails = true;
    const failed = await get(mesh, "ingress", "/v1/shelves?failed", await goodToken(mesh));
    for (const pod of [...mesh.stable, mesh.canary]) pod.fails = false;
    assert.equal(failed.statusCode, 503);
    const token = await goodToken(mesh);
    let tookMs = Infinity;
    // What lasts longer than a second is logged too.
    for (let attempt = 0; tookMs > 700; attempt++) {
      const startedMs = performance.now();
      assert.equal((await get(mesh, "ingress", `/v1/shelves?good=${attempt}`, token)).statusCode, 200);
      tookMs = performance.now() - startedMs;
      await delay(300);
      const isLogged = mesh.chosenLog().some((line) => line.startsWith(`/v1/shelves?good=${attempt} `));
      assert.ok(!isLogged || tookMs > 700);
    }
    assert.ok(mesh.chosenLog().includes("/v1/shelves?failed 503"), mesh.chosenLog().slice(-3).join());
  });
}

/** Sends requests as fast as eight connections can. @returns how often each status came */
async function burst(mesh: Mesh, count: number): Promise<ReadonlyMap<string, number>> {
  const { cert, key } = mesh.certificates.ingress;
  const [host = "", port] = mesh.gatewaySidecar.split(":");
  const statuses = new Map<string, number>();
  const lane = async (): Promise<void> => {
    const socket = connectTls({ host, port: Number(port), ca: mesh.authority.cert, cert, key });
    await once(socket, "secureConnect");
    let due = count / 8;
    let rest = "";
    socket.write("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(due));
    for await (const part of socket.setEncoding("latin1")) {
      const text = rest + (part as string); // With an encoding.
      const whole = text.lastIndexOf("\r\n") + 2;
      for (const [, status = ""] of text.slice(0, whole).matchAll(/HTTP\/1\.1 (\d+) /g)) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        due--;
      }
      rest = text.slice(whole);
      if (due === 0) break;
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  return statuses;
}

function goodToken(mesh: Mesh): Promise<string> {
  const [rule] = mesh.manifests.named("RequestAuthentication", "tokens")?.spec.jwtRules ?? [];
  return mesh.tokens.token(rule?.issuer ?? "", rule?.audiences[0] ?? "");
}

/** Whether an error has a code. */
export function codeIs(code: Code): (error: unknown) => boolean {
  return (error) => ConnectError.from(error).code === code;
}

function dialAs(mesh: Mesh, caller: Caller) {
  const { cert, key } = mesh.certificates[caller];
  return dial(mesh.librarySidecar, { tls: { ca: mesh.authority.cert, cert, key } });
}

async function get(mesh: Mesh, caller: Caller, path: string, token?: string): Promise<IncomingMessage> {
  const { cert, key } = mesh.certificates[caller];
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const tls = { ca: mesh.authority.cert, cert, key, agent: false };
  const sent = request(`https://${mesh.gatewaySidecar}${path}`, { headers, ...tls }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  response.resume();
  return response;
}
