import { realpath, stat } from "node:fs/promises";
import { posix } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { FilesService } from "../../../gen/ts_ms/pages/v1/pages_pb.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { pathOf, queryOf } from "../../core/net/request-target.ts";
import { FileEngine, type FileRequest, isWithin } from "../fastify/file-engine.ts";
import type { RequestHead, ResponseHeaders } from "../http/exchange.ts";
import type { FileAnswer, FileFolder, FoundFile, ServedFiles } from "../http/served-files.ts";
import { canonicalPath } from "./canonical-path.ts";
import type { StaticFolder } from "./pages-options.ts";

/** The headers of the engine's answers that are those of the file. */
const fileHeaders = [
  "accept-ranges",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "etag",
  "last-modified",
  "vary",
];

/** How long files that never change are kept, in seconds: a year. */
const foreverSeconds = 31_536_000;

/** What requests for files of a level are to gates and observers. */
const methods: Readonly<Record<StaticFolder["access"], DescMethod>> = {
  public: FilesService.method.public,
  optional: FilesService.method.optional,
  authenticated: FilesService.method.authenticated,
  deny: FilesService.method.deny,
};

/** One folder, ready to be served. */
interface OpenFolder extends FileFolder {
  readonly options: StaticFolder;
  /** The folder, without links in its path. */
  readonly root: string;
  /** Of an answer with a file. @param path below the folder, without a slash at the beginning */
  cacheControl(path: string): string;
}

/** Files of folders. */
export class FolderFiles implements ServedFiles {
  /** The longest prefix first. */
  readonly folders: readonly OpenFolder[];
  readonly #engine: FileEngine;

  private constructor(folders: readonly OpenFolder[], engine: FileEngine) {
    this.folders = folders.toSorted((a, b) => b.prefix.length - a.prefix.length);
    this.#engine = engine;
  }

  /** @throws SetupError naming a folder that is none, or the package that is not installed */
  static async open(list: readonly StaticFolder[]): Promise<FolderFiles | undefined> {
    const folders = await Promise.all(list.map(openFolder));
    const [first] = folders;
    return first && new FolderFiles(folders, await FileEngine.open(first.root));
  }

  find(target: string): FoundFile | undefined {
    const path = canonicalPath(target);
    if (path === undefined) return undefined;
    for (const folder of this.folders) {
      if (path.startsWith(folder.prefix)) {
        const below = path.slice(folder.prefix.length - 1);
        return { folder, open: (head) => this.#open(folder, below, head) };
      }
      if (`${path}/` === folder.prefix) return { folder, open: (head) => Promise.resolve(withSlash(head)) };
    }
    return undefined;
  }

  /** Ends the engine. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  async #open(folder: OpenFolder, path: string, head: RequestHead): Promise<FileAnswer | undefined> {
    const { fallback } = folder.options;
    const { root } = folder;
    const request: FileRequest = {
      ...{ method: head.method, headers: head.headers, root, path },
      isAllowed: (file) => this.#ownerOf(file) === root,
    };
    const result = await this.#engine.get(request);
    switch (result.kind) {
      case "file":
        return answerOf(result, folder.cacheControl(path.slice(1)));
      case "folder":
        return withSlash(head);
      case "hidden":
        return undefined;
      case "missing":
    }
    if (fallback === undefined || !/\btext\/html\b/i.test(head.headers.accept ?? "")) return undefined;
    const page = await this.#engine.get({ ...request, path: `/${fallback}` });
    return page.kind === "file" ? answerOf(page, "no-cache") : undefined;
  }

  /** The innermost folder that has a file: it alone says who may have it. */
  #ownerOf(file: string): string | undefined {
    let owner: string | undefined;
    for (const { root } of this.folders) {
      if (isWithin(root, file) && (owner === undefined || root.length > owner.length)) owner = root;
    }
    return owner;
  }
}

async function openFolder(options: StaticFolder): Promise<OpenFolder> {
  const { dir, prefix, access, fallback, immutable, maxAgeMs } = options;
  let root: string;
  try {
    root = await realpath(dir);
    if (!(await stat(root)).isDirectory()) throw new Error("it is no folder");
    if (fallback !== undefined && !(await stat(posix.join(root, fallback))).isFile()) {
      throw new Error(`its fallback ${fallback} is no file`);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SetupError(`pages: the folder ${dir} of ${prefix} cannot be served: ${reason}`, { cause });
  }
  const scope = access === "public" ? "public" : "private";
  const usual = `${scope}, max-age=${Math.floor(maxAgeMs / 1_000)}`;
  const forever = `${scope}, max-age=${foreverSeconds}, immutable`;
  return {
    ...{ prefix, access, options, root, method: methods[access] },
    cacheControl: (path) => (immutable !== undefined && posix.matchesGlob(path, immutable) ? forever : usual),
  };
}

function answerOf(
  { status, headers: all, body }: { status: number; headers: object; body: FileAnswer["body"] },
  cacheControl: string,
): FileAnswer {
  const headers: ResponseHeaders = {};
  for (const name of fileHeaders) {
    const value = (all as Readonly<Record<string, unknown>>)[name]; // Header fields by their names.
    if (typeof value === "string" || typeof value === "number") headers[name] = String(value);
  }
  if (status < 400) headers["cache-control"] = cacheControl;
  if (status >= 300) delete headers["content-length"];
  return { status, headers, body };
}

/** The path of a folder ends with a slash, so that pages can name files beside them. */
function withSlash({ url }: RequestHead): FileAnswer {
  const path = pathOf(url);
  const query = queryOf(url, path);
  // Relative, as the app of a plugin may have a prefix before it.
  const name = path.slice(path.lastIndexOf("/") + 1);
  const location = query === "" ? `./${name}/` : `./${name}/?${query}`;
  return { status: 301, headers: { location, "cache-control": "no-cache" }, body: undefined };
}
