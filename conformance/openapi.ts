import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { Child } from "../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { LibraryService } from "../gen/library/v1/library_pb.ts";
import { BindingService } from "../gen/tsms/test/v1/binding_pb.ts";
import { EchoService } from "../gen/tsms/test/v1/echo_pb.ts";
import { FeedService } from "../gen/tsms/test/v1/feed_pb.ts";
import { FilesService } from "../gen/tsms/test/v1/files_pb.ts";
import { RoomService } from "../gen/tsms/test/v1/rooms_pb.ts";
import { VaultService } from "../gen/tsms/test/v1/vault_pb.ts";
import { openapi as face } from "../src/entries/openapi.ts";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { Checks, type Suite } from "./suite.ts";
import { npmPackages } from "./tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const packages = ["@redocly/cli@2.77.0", "@stoplight/spectral-cli@6.16.3"];
/** Contracts whose documents have nothing that a linter would improve. */
const clean: readonly DescService[] = [LibraryService, GoMs, Child];
const others: readonly DescService[] = [
  BindingService,
  EchoService,
  FeedService,
  FilesService,
  RoomService,
  VaultService,
];
const forms = ["", "?version=3.2", "?inputs=exact"];

/** Redocly's and Spectral's recommended rules: no error in any document, and no warning in those of the examples. */
export const openapi: Suite = {
  name: "openapi",
  async run() {
    const tools = join(await npmPackages(packages), "node_modules/.bin");
    const folder = mkdtempSync(join(tmpdir(), "openapi-"));
    const checks = new Checks();
    try {
      const comments = join(folder, "contract.binpb");
      await run(join(root, "node_modules/.bin/buf"), ["build", "-o", comments], { cwd: root });
      for (const service of [...clean, ...others]) {
        const files = await documents(service, comments, folder);
        await lint(service, files, tools, checks);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    return checks.result;
  },
};

/** Writes the documents of a service. @returns the paths of the files */
async function documents(service: DescService, comments: string, folder: string): Promise<string[]> {
  const license = { name: "MIT", identifier: "MIT" };
  const contact = { name: "Example", url: "https://example.com", email: "api@example.com" };
  const security = { bearer: { type: "http", scheme: "bearer" } };
  await using http = new HttpServer({
    port: 0,
    logger: false,
    upstream: new GrpcServer({ listen: false }),
    faces: [face({ version: "1.0.0", license, contact, security })],
    comments,
  });
  http.addService(service);
  await http.start();
  const files: string[] = [];
  for (const [index, form] of forms.entries()) {
    const response = await fetch(`http://127.0.0.1:${http.address?.port}/openapi.json${form}`);
    const file = join(folder, `${service.typeName}-${index}.json`);
    writeFileSync(file, await response.text());
    files.push(file);
  }
  return files;
}

async function lint(
  service: DescService,
  files: readonly string[],
  bin: string,
  checks: Checks,
): Promise<void> {
  const isClean = clean.includes(service);
  const rules = join(files[0] ?? "", "../.spectral.json");
  writeFileSync(rules, JSON.stringify({ extends: ["spectral:oas"] }));
  await checks.check(`redocly: ${service.typeName}`, async () => {
    const { stderr, stdout } = await passed(join(bin, "redocly"), [
      "lint",
      ...files,
      "--extends=recommended",
    ]);
    if (isClean && /\bwarnings?\b.*\d|You have \d+ warning/i.test(stderr)) throw new Error(stdout + stderr);
  });
  await checks.check(`spectral: ${service.typeName}`, async () => {
    const severity = isClean ? "hint" : "error";
    await passed(join(bin, "spectral"), ["lint", ...files, "--ruleset", rules, "--fail-severity", severity]);
  });
}

/** Runs a linter. Rejects with what it prints where it finds something. */
async function passed(
  command: string,
  args: readonly string[],
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  try {
    return await run(command, [...args], { env, maxBuffer: 64 << 20 });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout}${stderr}`, { cause: error });
  }
}
