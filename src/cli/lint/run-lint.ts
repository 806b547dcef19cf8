import { dirname, resolve } from "node:path";
import { nearest } from "../../core/config/flags.ts";
import { Comments } from "../../core/contract/comments.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { commentsFrom } from "../../gateway/faces/comment-files.ts";
import { exitCodes } from "../command.ts";
import type { ContractFlagValues } from "../contracts/contract-flags.ts";
import { loadContracts } from "../contracts/load-contracts.ts";
import type { TargetFlagValues } from "../contracts/target-flags.ts";
import { checkAgainst } from "./against.ts";
import { runBuf } from "./buf.ts";
import { checkDescriptions, checkOpenapiOptions } from "./document-rules.ts";
import { type FindingFormat, findingsText, lintRules } from "./finding.ts";
import { checkNames } from "./name-rules.ts";
import { descriptorSet, olderContract } from "./older-contract.ts";
import { Places } from "./places.ts";
import { checkReferences } from "./reference-rules.ts";
import { checkRoutes } from "./route-rules.ts";

/** Flags of the command. */
interface LintFlags extends ContractFlagValues, TargetFlagValues {
  readonly rules: readonly string[];
  readonly against: string | undefined;
  readonly format: FindingFormat;
  readonly except: readonly string[];
}

/**
 * Looks for what is wrong with contracts and prints it; what was not looked at is said on standard error.
 *
 * @returns the exit code: 0 where nothing is found
 */
export async function lint(flags: LintFlags, target: string | undefined): Promise<number> {
  checkExcept(flags.except);
  const { services, registry } = await loadContracts(flags, target);
  const places = new Places([
    ...flags.protoPath,
    ...flags.proto.map((file) => dirname(resolve(file))),
    "proto",
    ".",
  ]);
  const { routes, findings } = await checkRoutes(services, flags.rules, places);
  const comments = await commentsFrom(flags.descriptors)();
  const described = checkDescriptions(services, routes, comments, places);
  const older = flags.against === undefined ? undefined : await olderContract(flags.against, flags.service);
  const against = older === undefined ? undefined : descriptorSet(older.registry, registry);
  const buf = await runBuf({ protos: flags.proto, against });
  const skipped = [...buf.skipped];
  if (!described.isLookedAt) skipped.push("mcp-description did not run: the contracts have no comments");
  const all = [
    ...findings,
    ...checkNames(services, places),
    ...checkReferences(services, registry, places),
    ...checkOpenapiOptions(services, places),
    ...described.findings,
    ...buf.findings,
  ];
  if (older !== undefined) {
    const before = { ...older, routes: (await checkRoutes(older.services, flags.rules, places)).routes };
    all.push(...checkAgainst(before, { services, routes }, places));
    const { compareSchemas } = await import("./schema-rules.ts");
    const noComments = async (): Promise<Comments> => new Comments();
    const schemas = await compareSchemas(
      { ...before, comments: noComments },
      { services, routes, registry, comments: noComments },
    );
    all.push(...schemas.findings);
    if (schemas.skipped !== undefined) skipped.push(schemas.skipped);
  }
  for (const sentence of skipped) process.stderr.write(`${sentence}\n`);
  const shown = all.filter(({ rule }) => !flags.except.includes(rule));
  process.stdout.write(findingsText(shown, flags.format));
  return shown.length === 0 ? exitCodes.done : exitCodes.failed;
}

/** @throws FlagError for ids that no rule has; those of buf are in capitals */
function checkExcept(ids: readonly string[]): void {
  const known = Object.keys(lintRules);
  for (const id of ids) {
    if (known.includes(id) || /^[A-Z][A-Z\d_]*$/.test(id)) continue;
    const meant = nearest(id, known);
    throw new FlagError(
      `--except ${id}: there is no such rule${meant === undefined ? `; there are ${known.join(", ")}` : `, did you mean ${meant}?`}`,
    );
  }
}
