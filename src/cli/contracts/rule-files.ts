import { readFile } from "node:fs/promises";
import {
  parseServiceConfig,
  type RuleText,
  type ServiceConfig,
} from "../../core/http-rule/service-config.ts";

/** The texts of files of `--rules`. */
export function readRules(files: readonly string[]): Promise<RuleText[]> {
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(file, "utf8") })));
}

/** The rules of files of `--rules`. @throws SetupError, by which it rejects, naming file and place of a mistake */
export async function loadRules(files: readonly string[]): Promise<readonly ServiceConfig[]> {
  return (await readRules(files)).map(({ file, text }) => parseServiceConfig(text, file));
}
