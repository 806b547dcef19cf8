import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { parse } from "yaml";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { complete, run } from "../support/program.ts";
import { markedCommands } from "./marked-blocks.ts";

const root = join(import.meta.dirname, "../..");
const commandsOf = (page: string, name: string): string[] =>
  markedCommands(root, name, `docs/${page}.md`).map(({ command }) => command);
const read = (path: string): string => readFileSync(join(root, path), "utf8");

suite("docs/deploy.md and docs/mesh.md: their commands", () => {
  test("images: the file has the arguments, and the programs are built", () => {
    const commands = commandsOf("deploy", "image");
    assert.equal(commands.length, 3);
    for (const command of commands) {
      const [, file = ""] = / -f (\S+) /.exec(command) ?? [];
      for (const [, name = ""] of command.matchAll(/--build-arg (\w+)=/g)) {
        assert.match(read(file), new RegExp(`^ARG ${name}\\b`, "m"), command);
      }
      const [, program = ""] = /PROGRAM=(\S+)/.exec(command) ?? [];
      assert.ok(read("tools/bundle.js").includes(`"examples/${program}.ts"`), command);
    }
    for (const [, names = ""] of read("docs/deploy.md").matchAll(/^\| (`[A-Z`, ]+`) \|/gm)) {
      for (const [, name = ""] of names.matchAll(/`(\w+)`/g)) {
        assert.match(read("deploy/container/Containerfile"), new RegExp(`^ARG ${name}\\b`, "m"));
      }
    }
  });

  test("the health check runs", async () => {
    await using grpc = new GrpcServer({ port: 0 });
    await using http = new HttpServer({ port: 0, upstream: grpc });
    await grpc.start();
    await http.start();
    const [command = ""] = commandsOf("deploy", "health");
    const [, ...args] = command
      .replace("127.0.0.1:8080", `127.0.0.1:${http.address?.port}`)
      .replace("127.0.0.1:42001", `127.0.0.1:${grpc.address?.port}`)
      .split(" ");
    assert.deepEqual(await run(process.execPath, ...args), { code: 0, stdout: "", stderr: "" });
  });

  test("overlays, scripts and files are there", () => {
    for (const page of ["deploy", "mesh"]) {
      for (const command of commandsOf(page, "apply")) {
        const overlay = command.replace("kubectl apply -k ", "");
        assert.equal(
          (parse(read(`${overlay}/kustomization.yaml`)) as { kind: string }).kind,
          "Kustomization",
        );
      }
    }
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }; // It has some.
    for (const command of [...commandsOf("deploy", "rootfs"), ...commandsOf("mesh", "generate")]) {
      const [, script] = /^npm run (\S+)/.exec(command) ?? [];
      if (script !== undefined) assert.ok(scripts[script] !== undefined, command);
    }
    for (const command of [...commandsOf("deploy", "systemd"), ...commandsOf("deploy", "rootfs")]) {
      for (const [path] of command.matchAll(/deploy\/\S+/g)) assert.ok(existsSync(join(root, path)), path);
    }
    for (const component of read("docs/deploy.md").matchAll(/^\| `([\w-]+)`(?:, `([\w-]+)`)? \|/gm)) {
      for (const name of component
        .slice(1)
        .filter(Boolean)
        .filter((one) => /^[a-z]/.test(one))) {
        if (existsSync(join(root, "deploy", name))) continue;
        assert.ok(existsSync(join(root, "deploy/kubernetes/components", name)), name);
      }
    }
  });

  test("suites of the checks are there, and the quick one finds nothing", { timeout: 280_000 }, async () => {
    const suites = read("conformance/run.ts");
    const commands = [...commandsOf("deploy", "checks"), ...commandsOf("mesh", "checks")];
    for (const command of commands) {
      const [, name = ""] = /^npm run conformance -- (\w+)/.exec(command) ?? [];
      assert.match(suites, new RegExp(`^  ${name},$`, "m"), command);
    }
    assert.equal(commands[0], "npm run conformance -- deploy");
    const program = join(root, "conformance/run.ts");
    // Without Go there is no kustomize.
    const { stdout } = await complete(process.execPath, [program, "deploy"], { cwd: root, env: process.env });
    assert.match(stdout, /^deploy: (?:\d+ passed, 0 failed|SKIPPED)/m);
  });
});
