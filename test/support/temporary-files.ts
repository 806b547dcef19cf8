import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of files that are gone with the test. */
export class TemporaryFiles implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<TemporaryFiles> {
    return new TemporaryFiles(await mkdtemp(join(tmpdir(), "ts-ms-")));
  }

  /** Writes a file, JSON if it is no text. @returns its path */
  async write(name: string, content: unknown, mode = 0o600): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
    await chmod(path, mode);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
