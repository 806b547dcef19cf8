import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import {
  assignment,
  cluster,
  FakeControlPlane,
  listener,
  locality,
  routesTo,
} from "../../support/fake-control-plane.ts";
import { FakeKube, slice, sliceEndpoint } from "../../support/fake-kube.ts";

const root = join(import.meta.dirname, "../../..");

/** Runs a program that watches a resolver, prints what it finds first, and has nothing else to do. */
async function firstOf(entry: string, resolver: string): Promise<string> {
  const program = `
    import * as entry from ${JSON.stringify(join(root, `src/entries/${entry}.ts`))};
    entry.${resolver}.watch(
      { update: (list) => console.log(list.map(({ address }) => address).join()), failed: console.log },
      new AbortController().signal,
    );`;
  const args = ["--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 30_000 });
  return stdout.trim();
}

test("a watch of Kubernetes keeps no process alive, but its first list does", async () => {
  await using kube = await FakeKube.start();
  kube.script = (call) => {
    if (call.isWatch) call.open();
    else setTimeout(() => call.list([slice("s1", 9, [sliceEndpoint("10.0.0.1")])], "10"), 200);
    return true;
  };
  const options = JSON.stringify({ server: kube.url });
  assert.equal(await firstOf("kubernetes", `kubernetesResolver("users", ${options})`), "10.0.0.1:42001");
});

test("a stream of xDS keeps no process alive, but what it finds first does", async () => {
  await using plane = await FakeControlPlane.start();
  plane.script = (stream) => {
    void (async () => {
      await stream.take(1);
      await new Promise((resolve) => setTimeout(resolve, 200));
      stream.reply("1", [listener("users", "r")]);
      await stream.take(2);
      stream.reply("1", [routesTo("r", { one: 1 })]);
      await stream.take(2);
      stream.reply("1", [cluster("one")]);
      await stream.take(2);
      stream.reply("1", [assignment("one", locality("a", ["1"]))]);
    })();
    return true;
  };
  const options = JSON.stringify({ bootstrap: plane.bootstrap });
  assert.equal(await firstOf("xds", `xdsResolver("users", ${options})`), "127.0.0.1:1");
});
