import { writeFile } from "node:fs/promises";
import { SetupError } from "../../core/errors/setup-error.ts";

/** Writes a document into a file, or to standard output. @throws SetupError, by which it rejects, naming the file */
export async function writeDocument(text: string, file: string | undefined): Promise<void> {
  if (file === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw new SetupError(
      `${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}
