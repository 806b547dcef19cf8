import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { graphql } from "../src/entries/graphql.ts";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { seedLibrary } from "../src/services/library/library-seed.ts";
import { LibraryService } from "../src/services/library/library-service.ts";
import { LibraryStore } from "../src/services/library/library-store.ts";
import { Checks, type Suite } from "./suite.ts";
import { npmPackages } from "./tools.ts";

const run = promisify(execFile);
const packages = ["graphql-http@1.23.1", "@apollo/client@4.3.8", "graphql@16.15.0", "rxjs@7.8.2"];

/** How many audits the package has. */
const expectedAudits = 61;

/** One result of an audit. */
interface Audit {
  readonly id: string;
  readonly name: string;
  readonly status: "ok" | "warn" | "error";
  readonly reason?: string;
}

/** The package with the audits. */
interface AuditPackage {
  auditServer(
    this: void,
    options: { readonly url: string; readonly fetchFn: typeof fetch },
  ): Promise<readonly Audit[]>;
}

/** The audits of GraphQL over HTTP, all of them without a warning; and Apollo's client with persisted queries. */
export const graphqlHttp: Suite = {
  name: "graphql-http",
  async run() {
    const folder = await npmPackages(packages);
    const checks = new Checks();
    const store = new LibraryStore();
    void seedLibrary(store);
    const library = new LibraryService(store);
    await using upstream = new GrpcServer({ listen: false });
    upstream.addService(library);
    await using http = new HttpServer({ port: 0, logger: false, upstream, faces: [graphql()] });
    http.addService(library);
    await http.start();
    const url = `http://127.0.0.1:${http.address?.port}/graphql`;
    await audits(folder, url, checks);
    await checks.check("apollo: automatic persisted queries", () => apollo(folder, url));
    return checks.result;
  },
};

async function audits(folder: string, url: string, checks: Checks): Promise<void> {
  const { auditServer } = (await importFrom(folder, "graphql-http")) as AuditPackage; // As its documentation says.
  const results = await auditServer({ url, fetchFn: fetch });
  await checks.check("all audits", async () => {
    if (results.length !== expectedAudits) throw new Error(`${results.length} audits, not ${expectedAudits}`);
  });
  for (const { id, name, status, reason } of results) {
    await checks.check(`${id} ${name}`, async () => {
      if (status !== "ok") throw new Error(`${status}: ${reason}`);
    });
  }
}

/** Runs a program with Apollo's client: its links come with types for browsers. */
async function apollo(folder: string, url: string): Promise<void> {
  const program = join(folder, "apollo.mjs");
  writeFileSync(program, apolloProgram);
  const { stdout } = await run(process.execPath, [program, url]);
  const sent = stdout.trim().split("\n");
  const expected = ["hash", "hash+query", "Shelf", "hash", "Shelf"];
  if (JSON.stringify(sent) !== JSON.stringify(expected))
    throw new Error(`expected ${expected.join()}, found ${sent.join()}`);
}

/** Asks the same twice: the document is sent once, with the second request. */
const apolloProgram = `
import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { createHash } from "node:crypto";
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const noted = (url, init) => {
  const { query, extensions } = JSON.parse(init.body);
  console.log([extensions?.persistedQuery && "hash", query && "query"].filter(Boolean).join("+"));
  return fetch(url, init);
};
const client = () => new ApolloClient({
  cache: new InMemoryCache(),
  link: new PersistedQueryLink({ sha256 }).concat(new HttpLink({ uri: process.argv[2], fetch: noted })),
});
const query = gql("query Shelf { getShelf(name: \\"shelves/1\\") { name theme } }");
for (const one of [client(), client()]) {
  const { data } = await one.query({ query });
  console.log(data.getShelf.__typename);
}
`;

async function importFrom(folder: string, name: string): Promise<unknown> {
  const { resolve } = createRequire(join(folder, "package.json"));
  return import(pathToFileURL(resolve(name)).href);
}
