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
import { openapi as face } from "../src/entries/openapi.ts";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { Checks, type Suite } from "./suite.ts";
import { npmPackages } from "./tools.ts";

const run = promisify(execFile);
/** The compiler is one that the generator takes. */
const packages = ["openapi-typescript@7.13.0", "typescript@5.9.3"];
const services: readonly DescService[] = [
  LibraryService,
  GoMs,
  Child,
  BindingService,
  EchoService,
  FeedService,
  FilesService,
];

/** The types that openapi-typescript makes of our documents compile, and have every operation. */
export const openapiTypescript: Suite = {
  name: "openapi-typescript",
  async run() {
    const bin = join(await npmPackages(packages), "node_modules/.bin");
    const folder = mkdtempSync(join(tmpdir(), "openapi-typescript-"));
    const checks = new Checks();
    try {
      for (const service of services) {
        await checks.check(service.typeName, () => compileTypes(service, folder, bin));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    return checks.result;
  },
};

async function compileTypes(service: DescService, folder: string, bin: string): Promise<void> {
  await using http = new HttpServer({
    port: 0,
    logger: false,
    upstream: new GrpcServer({ listen: false }),
    faces: [face()],
  });
  http.addService(service);
  await http.start();
  const files: string[] = [];
  for (const inputs of ["canonical", "exact"]) {
    const response = await fetch(`http://127.0.0.1:${http.address?.port}/openapi.json?inputs=${inputs}`);
    const document = join(folder, `${service.typeName}-${inputs}.json`);
    const text = await response.text();
    writeFileSync(document, text);
    const types = join(folder, `${service.typeName}-${inputs}.ts`);
    await done(join(bin, "openapi-typescript"), [document, "-o", types]);
    const use = join(folder, `${service.typeName}-${inputs}-use.ts`);
    writeFileSync(use, usingTypes(types, text));
    files.push(types, use);
  }
  const flags = ["--noEmit", "--strict", "--allowImportingTsExtensions", "--moduleResolution", "bundler"];
  await done(join(bin, "tsc"), [...flags, "--module", "esnext", "--target", "esnext", ...files]);
}

/** A program that names every operation of a document: it compiles where each has a type. */
function usingTypes(types: string, document: string): string {
  const ids = [...document.matchAll(/"operationId":\s*"([^"]+)"/g)].map(([, id]) => JSON.stringify(id));
  if (ids.length === 0) throw new Error("the document has no operation");
  return `import type { operations } from ${JSON.stringify(types)};
const ids: Record<keyof operations, true> = { ${ids.map((id) => `${id}: true`).join(", ")} };
export default ids;
`;
}

async function done(command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, [...args], { maxBuffer: 64 << 20 });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout}${stderr}`, { cause: error });
  }
}
