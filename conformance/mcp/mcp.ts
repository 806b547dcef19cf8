import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Suite } from "../suite.ts";
import { npmPackages } from "../tools.ts";
import { expectedFailures } from "./expected-failures.ts";
import { startScenarioServer } from "./scenario-server.ts";

const run = promisify(execFile);
const version = "0.2.0-alpha.12";

/** A check of a scenario, as the suite writes it. */
interface ScenarioCheck {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly errorMessage?: string;
}

/** A revision whose scenarios are run, and how many these are. */
const revisions = [
  { revision: "2026-07-28", scenarios: 50 },
  { revision: "2025-11-25", scenarios: 33 },
] as const;

/** The scenarios of MCP's conformance suite for servers: all that it has for a revision, required or not. */
export const mcp: Suite = {
  name: "mcp",
  async run() {
    const program = await installed();
    await using http = await startScenarioServer();
    const url = `http://127.0.0.1:${http.address?.port}/mcp`;
    const outcome = { passed: 0, expectedFailures: 0, failures: new Array<string>() };
    for (const { revision, scenarios } of revisions) {
      const found = await runScenarios(program, url, revision);
      if (found.size !== scenarios) {
        outcome.failures.push(`${revision}: ${found.size} scenarios, not ${scenarios}`);
      }
      judge(revision, found, outcome);
    }
    return outcome;
  },
};

/** Runs the scenarios of a revision; resolves with their checks by name. */
async function runScenarios(
  program: string,
  url: string,
  revision: string,
): Promise<ReadonlyMap<string, readonly ScenarioCheck[]>> {
  const folder = mkdtempSync(join(tmpdir(), "mcp-conformance-"));
  try {
    const words = ["server", "--url", url, "--requirements", revision, "--output-dir", folder];
    // Its exit code says that something has failed: its files say what.
    await run(process.execPath, [program, ...words], { maxBuffer: 16 << 20 }).catch((reason: unknown) => {
      if (readdirSync(folder).length === 0) throw reason;
    });
    const found = new Map<string, readonly ScenarioCheck[]>();
    for (const name of readdirSync(folder)) {
      const [, scenario = name] = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name) ?? [];
      const checks: unknown = JSON.parse(readFileSync(join(folder, name, "checks.json"), "utf8"));
      found.set(scenario, checks as readonly ScenarioCheck[]); // As the suite documents it.
    }
    return found;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Counts checks. An expected failure that did not happen is a failure too: the list would be wrong. */
function judge(
  revision: "2026-07-28" | "2025-11-25",
  found: ReadonlyMap<string, readonly ScenarioCheck[]>,
  outcome: { passed: number; expectedFailures: number; readonly failures: string[] },
): void {
  const expected = new Set(expectedFailures[revision].flatMap(({ failing }) => failing));
  const seen = new Set<string>();
  for (const [scenario, checks] of found) {
    for (const { id, status, errorMessage = "" } of checks) {
      if (status === "SUCCESS") outcome.passed += 1;
      if (status !== "FAILURE") continue;
      const name = [`${scenario}:${id}`, scenario].find((one) => expected.has(one));
      // Answers to what is not served are well-formed nevertheless.
      if (name === undefined || id.startsWith("wire-schema-")) {
        outcome.failures.push(`${revision}: ${scenario}:${id}: ${errorMessage}`);
        continue;
      }
      seen.add(name);
      outcome.expectedFailures += 1;
    }
  }
  for (const name of expected) {
    if (!seen.has(name)) outcome.failures.push(`${revision}: ${name}: was expected to fail, and has not`);
  }
}

/** The suite, installed into the cache; resolves with the path of its program. */
async function installed(): Promise<string> {
  const folder = await npmPackages([`@modelcontextprotocol/conformance@${version}`]);
  return join(folder, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
}
