import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { BindingService } from "../../gen/tsms/test/v1/binding_pb.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { FeedService } from "../../gen/tsms/test/v1/feed_pb.ts";
import { FilesService } from "../../gen/tsms/test/v1/files_pb.ts";
import type { PartialService } from "../../src/core/call/service.ts";
import { openapi } from "../../src/entries/openapi.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";
import { echoingService } from "./echoing-service.ts";

const run = promisify(execFile);

/** What no document can say, by operation; the tool then does not ask whether valid data is taken. */
const unsayable: Readonly<Record<string, string>> = {
  LibraryService_ListBooks: "its filter is a language",
  FilesService_Submit_2: "two parameters of one oneof exclude one another",
  FilesService_PutFile: "a body of any type may be a form, which must be whole then",
};

/** Schemathesis with all of its checks, valid and invalid data, against the document of everything that is taken. */
export const schemathesis: Suite = {
  name: "schemathesis",
  slow: true,
  async run(whole) {
    const env = await pythonPackages("schemathesis==4.32.5");
    const checks = new Checks();
    const echoing: readonly DescService[] = [EchoService, BindingService, FilesService, FeedService];
    for (const descriptor of echoing) {
      await checks.check(descriptor.typeName, () => attack(echoingService(descriptor), env, whole));
    }
    const library = new LibraryService(seedLibrary());
    await checks.check(library.descriptor.typeName, () => attack(library, env, whole));
    return checks.result;
  },
};

async function attack<S extends DescService>(
  service: PartialService<S>,
  env: NodeJS.ProcessEnv,
  whole: boolean,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "schemathesis-"));
  const upstream = new GrpcServer({ listen: false });
  upstream.addService(service);
  await using http = new HttpServer({
    port: 0,
    logger: false,
    upstream,
    faces: [openapi()],
    unknownQuery: "reject",
    unknownFields: "reject",
  });
  http.addService(service);
  await http.start();
  writeFileSync(join(folder, "schemathesis.toml"), exceptions());
  const words = [
    ...["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"],
    ...[`http://127.0.0.1:${http.address?.port}/openapi.json?inputs=exact`],
    ...["--checks", "all", "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful"],
    ...["--seed", "1", "--max-examples", whole ? "100" : "20", "--continue-on-failure", "--no-color"],
  ];
  const hooks = join(import.meta.dirname, "hooks.py");
  try {
    await run("python3", words, {
      cwd: folder,
      env: { ...env, SCHEMATHESIS_HOOKS: hooks },
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout}${stderr}`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function exceptions(): string {
  return Object.entries(unsayable)
    .map(
      ([id, why]) =>
        `# ${why}\n[[operations]]\ninclude-operation-id = "${id}"\nchecks.positive_data_acceptance.enabled = false\n`,
    )
    .join("\n");
}
