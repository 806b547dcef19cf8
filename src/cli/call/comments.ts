import { readFile } from "node:fs/promises";
import { Comments } from "../../core/contract/comments.ts";
import type { ContractFlagValues } from "../contracts/contract-flags.ts";

/** The comments of contracts: those of `--descriptors`, whose source information the loader of contracts drops. */
export async function commentsOf({
  descriptors,
}: Pick<ContractFlagValues, "descriptors">): Promise<Comments> {
  return new Comments(await Promise.all(descriptors.map((file) => readFile(file))));
}
