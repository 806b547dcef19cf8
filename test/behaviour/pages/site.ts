import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { openPages } from "../../../src/gateway/pages/pages.ts";
import type { PagesOptions, StaticFolderInit } from "../../../src/gateway/pages/pages-options.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { exchangeBytes, startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

/** What is in the folder of a site. */
export const large = Buffer.alloc(1_000_003, "0123456789abcdef");

/** A folder with files, links and what must not be served, and one beside it. */
export async function writeSite(folder: string): Promise<{ readonly dir: string; readonly outside: string }> {
  const dir = join(folder, "site");
  const outside = join(folder, "outside");
  await mkdir(join(dir, "assets"), { recursive: true });
  await mkdir(join(dir, "docs"));
  await mkdir(join(dir, "empty"));
  await mkdir(join(dir, ".git"));
  await mkdir(outside);
  const script = "export const answer = 42;\n".repeat(50);
  await Promise.all([
    writeFile(join(dir, "index.html"), "<!doctype html><title>home</title>"),
    writeFile(join(dir, "docs/index.html"), "<!doctype html><title>docs</title>"),
    writeFile(join(dir, "assets/app.js"), script),
    writeFile(join(dir, "assets/app.js.br"), brotliCompressSync(script)),
    writeFile(join(dir, "assets/app.js.gz"), gzipSync(script)),
    writeFile(join(dir, "assets/ä b#?.txt"), "odd"),
    writeFile(join(dir, "large.bin"), large),
    writeFile(join(dir, ".env"), "THE-SECRET"),
    writeFile(join(dir, ".git/config"), "THE-SECRET"),
    writeFile(join(outside, "secret.txt"), "THE-SECRET"),
  ]);
  await symlink(join(outside, "secret.txt"), join(dir, "leak.txt"));
  await symlink(outside, join(dir, "leak"));
  await symlink(join(outside, "secret.txt"), join(dir, "assets/app.css.br"));
  await writeFile(join(dir, "assets/app.css"), "body{}");
  await symlink("index.html", join(dir, "alias.html"));
  return { dir, outside };
}

/** A gateway with an `Echo` and a folder of files. */
export class StaticSite implements AsyncDisposable {
  readonly gateway: Gateway;
  readonly dir: string;
  readonly #files: TemporaryFiles;

  private constructor(gateway: Gateway, dir: string, files: TemporaryFiles) {
    this.gateway = gateway;
    this.dir = dir;
    this.#files = files;
  }

  /** @param folders makes the folders of that of the site */
  static async start(
    folders: (dir: string) => readonly StaticFolderInit[] = (dir) => [{ prefix: "/", dir }],
    options: Partial<HttpServerOptions> = {},
    more: Partial<PagesOptions> = {},
  ): Promise<StaticSite> {
    const files = await TemporaryFiles.create();
    const { dir } = await writeSite(files.folder);
    const pages = await openPages({ static: folders(dir), ...more });
    return new StaticSite(await startGateway({ pages, ...options }), dir, files);
  }

  /** The whole answer to a request whose line has exactly this target. */
  raw(target: string, headers = "", method = "GET"): Promise<string> {
    const request = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`;
    return exchangeBytes(this.gateway.port, request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.#files[Symbol.asyncDispose]();
  }
}

/** A header of a raw answer; undefined for none. */
export function fieldOf(answer: string, name: string): string | undefined {
  return new RegExp(`^${name}: ([^\\r]*)`, "im").exec(answer.slice(0, answer.indexOf("\r\n\r\n")))?.[1];
}
