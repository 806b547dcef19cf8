import { strict as assert } from "node:assert";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { GoMs } from "../../gen/go/micro/service/goms/goms_pb.ts";
import { dial, HttpServer } from "../../src/index.ts";
import { ConsulAgent } from "../consul-agent.ts";
import { Checks, type Suite } from "../suite.ts";
import { Fleet, goodAttempts, Instance, until } from "./fleet.ts";
import { OpenLoop, type CallKind } from "./open-loop.ts";

/** Z09: a gateway in front of two servers that are found by Consul, called by every protocol. */
export const gatewayRestart: Suite = {
  name: "restart-gateway",
  async run(whole) {
    const rounds = whole ? 10 : 1;
    const least = whole ? 20_000 : 0;
    await using agent = await ConsulAgent.start();
    process.env["CONSUL_HTTP_ADDR"] = agent.url;
    await using fleet = await Fleet.start(agent.url, ["127.0.0.1", "127.0.0.1"]);
    await using upstream = dial("consul:///users");
    await using http = new HttpServer({ port: 0, upstream });
    http.addService(GoMs);
    await http.start();
    await upstream.ready();
    const checks = new Checks();
    await checks.check(`Z09: rolling restart behind a gateway, ${rounds} rounds`, async () => {
      await using loop = new OpenLoop(200, protocols(`http://127.0.0.1:${http.address?.port}`));
      for (let round = 0; round < rounds || loop.sent < least; round++) {
        for (const [place, instance] of fleet.instances.entries()) {
          await instance.stop();
          const next = await Instance.start(agent.url);
          fleet.instances[place] = next;
          await until("the new server is called", () => goodAttempts(upstream, next.address) > 0);
        }
      }
      await loop.stop();
      console.log(`  Z09: 2 servers behind a gateway, ${rounds} rounds: ${loop.summary}`);
      assert.equal(loop.lost.length, 0, loop.summary);
    });
    return checks.result;
  },
};

/** REST, Connect, gRPC-Web and gRPC by turns, each with calls that may be repeated and such that may not. */
function protocols(baseUrl: string): (index: number) => CallKind {
  const clients = [
    createClient(GoMs, createConnectTransport({ baseUrl, httpVersion: "1.1" })),
    createClient(GoMs, createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })),
    createClient(GoMs, createGrpcTransport({ baseUrl })),
  ];
  const rest = async (path: string, init: RequestInit): Promise<void> => {
    const response = await fetch(`${baseUrl}${path}`, init);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${text}`);
  };
  const post = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
  return (index) => {
    const writes = index % 8 < 4;
    const client = clients[(index % 4) - 1];
    if (client === undefined) {
      const call = () => (writes ? rest("/goms", post) : rest(`/goms/${index}`, {}));
      return { kind: "REST", call };
    }
    const call = () => (writes ? client.create({}) : client.get({ id: String(index) }));
    return { kind: ["Connect", "gRPC-Web", "gRPC"][(index % 4) - 1] ?? "", call };
  };
}
