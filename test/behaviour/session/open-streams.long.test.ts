import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { curl } from "../security/whoami.ts";
import { within } from "../websocket/socket-client.ts";
import { cookieOf, SessionSite, textOf } from "./session-site.ts";

suite("S3 C14 the end of a session ends what is open with it at once:", () => {
  let site: SessionSite;

  before(async () => {
    site = await SessionSite.start();
  });

  after(() => site[Symbol.asyncDispose]());

  for (const end of ["logout", "login~ada"]) {
    test(`a WebSocket, by ${end}, and no other`, async () => {
      const cookie = cookieOf(await site.get("login~ada"));
      const other = cookieOf(await site.get("login~eve"));
      const socket = await site.socket("hold", cookie).open();
      const still = await site.socket("hold", other).open();
      assert.equal((await socket.json())["text"], "ada");
      assert.equal((await still.json())["text"], "eve");
      await site.get(end, cookie);
      assert.equal((await within(socket.closed, "the end", 900)).code, 4016);
      assert.equal(textOf(await site.get("private", other)), "eve:");
      assert.equal(still.ws.readyState, still.ws.OPEN);
      still.ws.close();
      await still.closed;
    });
  }

  test("the streams of a WebSocket of many calls, whose later calls are those of an anonymous client", async () => {
    const cookie = cookieOf(await site.get("login~ada"));
    const socket = await site.manyCalls(cookie).open();
    const rpc = "tsms.test.v1.EchoService";
    const send = (envelope: object): void => socket.send(JSON.stringify(envelope));
    const text = async (): Promise<unknown> => ((await socket.json())["message"] as { text: string }).text;
    send({ id: 1, method: `${rpc}/Repeat`, message: { text: "hold" } });
    assert.equal(await text(), "ada");
    send({ id: 2, method: `${rpc}/Echo`, message: { text: "show" } });
    assert.equal(await text(), "ada:");
    assert.deepEqual(((await socket.json())["status"] as { code: number }).code, 0);
    await site.get("logout", cookie);
    const { id, status } = (await within(socket.json(), "the end", 900)) as {
      id: number;
      status: { code: number };
    };
    assert.deepEqual([id, status.code], [1, 16]);
    send({ id: 3, method: `${rpc}/Echo`, message: { text: "show" } });
    assert.equal(await text(), "anonymous:");
    socket.ws.close();
    await socket.closed;
  });

  test("a stream of events", async () => {
    const cookie = cookieOf(await site.get("login~ada"));
    const headers = ["-H", `Cookie: ${cookie}`, "-H", "Accept: text/event-stream"];
    const stream = curl("--no-buffer", ...headers, `${site.origin}/test/v1/repeat/hold`);
    const socket = await site.socket("hold", cookie).open();
    await socket.next();
    await site.get("logout", cookie);
    const { body } = await within(stream, "the end", 5_000);
    const [, data = "{}"] = /event: error\ndata: (.*)/.exec(body) ?? [];
    assert.equal((JSON.parse(data) as { code?: number }).code, 16, body);
    assert.match(data, /SESSION_ENDED/);
    await socket.closed;
  });

  test("not the stream whose own handler logs in", async () => {
    const cookie = cookieOf(await site.get("login~ada"));
    const headers = ["-H", `Cookie: ${cookie}`, "-H", "Accept: text/event-stream", "--max-time", "2"];
    const failed = curl("--no-buffer", ...headers, `${site.origin}/test/v1/repeat/relogin`);
    await assert.rejects(failed, ({ stdout }: { stdout: string }) => {
      assert.match(stdout, /"bob"/);
      assert.doesNotMatch(stdout, /event: error/);
      return true; // curl has ended it.
    });
  });
});
