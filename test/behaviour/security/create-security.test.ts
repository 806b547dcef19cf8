import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { dial } from "../../../src/core/dial.ts";
import { AuditLog } from "../../../src/core/security/audit/audit-log.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys } from "../../../src/core/security/auth-schemes.ts";
import { createSecurity } from "../../../src/core/security/create-security.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { curl, WhoAmI } from "./whoami.ts";

test("rules of createSecurity mark rpcs for an audit log, those of a reload too", async () => {
  await using files = await TemporaryFiles.create();
  const echo = `${EchoService.typeName}/Echo`;
  const marked = { access: { rules: { [echo]: { audit: true, resource: "text" } } } };
  await using security = await createSecurity(marked);
  const destination = join(files.folder, "audit.log");
  const audit = new AuditLog({ destination, rules: () => security.rules });
  audit.open();
  const gates = audit.around(security.gates);
  const grpc = new GrpcServer({ port: 0, gates, observers: [audit], logger: false }).addService(new WhoAmI());
  await grpc.start();
  const client = createClient(EchoService, dial(grpc));
  await client.echo({ text: "first" });
  await security.reload({});
  await client.echo({ text: "second" });
  await security.reload(marked);
  await client.echo({ text: "third" });
  await grpc.gracefulStop({ graceMs: 0 });
  audit.close();
  const found = readFileSync(destination, "utf8").matchAll(/"resource":"(\w+)"/g);
  assert.deepEqual(
    [...found].map(([, text]) => text),
    ["first", "third"],
  );
});

test("createSecurity guards servers by credentials and rules, which a reload exchanges", async () => {
  await using files = await TemporaryFiles.create();
  const [partner, clerk] = [createApiKey("partner"), createApiKey("clerk")];
  const keysFile = await files.write("keys.json", [
    { id: "partner", hash: partner.hash },
    { id: "clerk", hash: clerk.hash, scopes: ["echo"] },
  ]);
  const auth = { partners: apiKeys({ keysFile }) };
  const echo = `${EchoService.typeName}/Echo`;
  await using security = await createSecurity({ auth, access: { rules: { [echo]: { scopes: ["echo"] } } } });
  security.check([EchoService]);
  const service = new WhoAmI();
  const grpc = new GrpcServer({ port: 0, gates: security.gates, logger: false }).addService(service);
  const http = new HttpServer({ upstream: grpc, port: 0, gates: security.gates, logger: false }).addService(
    service,
  );
  await grpc.start();
  await http.start();
  const url = `http://127.0.0.1:${http.address?.port}/test/v1/echo/x`;
  const ask = async (...headers: string[]): Promise<number> =>
    (await curl(...headers.flatMap((header) => ["-H", header]), url)).status;
  assert.equal(await ask(), 401);
  assert.equal(await ask(`x-api-key: ${partner.key}`), 403);
  assert.equal(await ask(`x-api-key: ${clerk.key}`), 200);
  await assert.rejects(
    security.reload({ auth: { a: apiKeys({ keysFile: "/no/such/file" }) } }),
    /no such file/i,
  );
  assert.equal(await ask(`x-api-key: ${partner.key}`), 403);
  await security.reload({ auth, access: { default: "public" } });
  assert.equal(await ask(), 200);
  await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
  await assert.rejects(createSecurity({ acess: {} } as never), /did you mean access/);
});
