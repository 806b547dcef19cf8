import type { Readable } from "node:stream";
import type { DescMethod } from "@bufbuild/protobuf";
import type { AccessLevel } from "../../core/admission/access-level.ts";
import type { RequestHead, ResponseHeaders } from "./exchange.ts";

/** Files of folders, as a server answers them where no rpc does. */
export interface ServedFiles {
  readonly folders: readonly FileFolder[];
  /** Finds the folder of a request target; undefined where none is, and for a path that no file may have. */
  find(target: string): FoundFile | undefined;
}

/** What has files; `openPages` of `ts-ms/pages` makes it. */
export interface FileSource {
  readonly files: ServedFiles | undefined;
}

/** A folder whose files are served. */
export interface FileFolder {
  /** What the paths of its files begin with; ends with `/`. */
  readonly prefix: string;
  /** Who may have its files. */
  readonly access: AccessLevel;
  /** What its requests are to gates and observers. */
  readonly method: DescMethod;
}

/** A file that a request asks for; whether there is one is not known yet. */
export interface FoundFile {
  readonly folder: FileFolder;
  /** Opens it. Undefined where there is none. */
  open(head: RequestHead): Promise<FileAnswer | undefined>;
}

/** The answer to a request for a file. */
export interface FileAnswer {
  readonly status: number;
  /** Names in lower case; `content-length` among them where there is a body. */
  readonly headers: ResponseHeaders;
  /** Undefined for none. Must be read, or destroyed. */
  readonly body: Readable | undefined;
}
