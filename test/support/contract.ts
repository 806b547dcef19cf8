import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMessage, DescService, FileRegistry } from "@bufbuild/protobuf";
import { loadProtoSources } from "../../src/core/schema/proto-sources.ts";

/** A contract from the text of a `.proto` file, linked with what it imports alone. */
export function contractOf(text: string): FileRegistry {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-contract-"));
  try {
    const file = join(folder, "contract.proto");
    writeFileSync(file, text);
    return loadProtoSources([file]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A service of a contract. */
export function serviceOf(contract: FileRegistry, name: string): DescService {
  const found = contract.getService(name);
  if (found === undefined) throw new Error(`the contract has no service ${name}`);
  return found;
}

/** A message type of a contract. */
export function typeOf(contract: FileRegistry, name: string): DescMessage {
  const found = contract.getMessage(name);
  if (found === undefined) throw new Error(`the contract has no message ${name}`);
  return found;
}
