import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { DescEnum, DescField, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";

/** An element that a finding can be about; a file has no line. */
export type Placed = DescMethod | DescService | DescMessage | DescField | DescEnum | DescFile;

/** Where an element stands. */
export interface Place {
  readonly file: string;
  /** Counted from 1; 0 where it is not known. */
  readonly line: number;
}

/** A source file without its comments, which are blanks there. */
interface Source {
  readonly path: string;
  readonly code: string;
  readonly text: string;
}

/** Where the elements of contracts stand in their sources, as far as these are found. */
export class Places {
  readonly #folders: readonly string[];
  readonly #sources = new Map<string, Source | undefined>();

  /** @param folders in which the files of contracts are looked up */
  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  of(desc: Placed): Place {
    const { name } = fileOf(desc).proto;
    const source = this.#source(name);
    if (source === undefined) return { file: name, line: 0 };
    const at = positionOf(source.code, desc);
    return { file: source.path, line: at < 0 ? 0 : source.code.slice(0, at).split("\n").length };
  }

  /** Whether a comment stands directly above an element; undefined where its source is not found. */
  hasComment(desc: Placed): boolean | undefined {
    const source = this.#source(fileOf(desc).proto.name);
    const at = source === undefined ? -1 : positionOf(source.code, desc);
    if (source === undefined || at < 0) return undefined;
    const above = source.text.slice(0, at).trimEnd().split("\n").at(-1)?.trim() ?? "";
    return above.startsWith("//") || above.endsWith("*/");
  }

  #source(name: string): Source | undefined {
    if (this.#sources.has(name)) return this.#sources.get(name);
    const path = this.#folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
    const text = path === undefined ? undefined : readFileSync(path, "utf8");
    const source =
      path === undefined || text === undefined
        ? undefined
        : { path: shownPath(path), text, code: withoutComments(text) };
    this.#sources.set(name, source);
    return source;
  }
}

/** A path as users have it: from the current folder on, where it is below that. */
function shownPath(path: string): string {
  const below = relative(process.cwd(), path);
  return below.startsWith("..") ? resolve(path) : below;
}

function fileOf(desc: Placed): DescFile {
  if (desc.kind === "file") return desc;
  return desc.kind === "rpc" || desc.kind === "field" ? desc.parent.file : desc.file;
}

/** The position of an element; -1 where it is not found. */
function positionOf(code: string, desc: Placed): number {
  switch (desc.kind) {
    case "service":
      return behind(code, 0, String.raw`service\s+${desc.name}\b`);
    case "rpc":
      return behind(code, positionOf(code, desc.parent), String.raw`rpc\s+${desc.name}\b`);
    case "file":
      return -1;
    case "enum":
    case "message": {
      const outer = desc.parent === undefined ? 0 : positionOf(code, desc.parent);
      return behind(code, outer, String.raw`${desc.kind}\s+${desc.name}\b`);
    }
    case "field":
      return behind(code, positionOf(code, desc.parent), String.raw`${desc.name}\s*=\s*${desc.number}\b`);
  }
}

function behind(code: string, from: number, pattern: string): number {
  if (from < 0) return -1;
  const found = new RegExp(String.raw`\b${pattern}`, "g");
  found.lastIndex = from;
  return found.exec(code)?.index ?? -1;
}

/** A source with blanks in place of comments, so that all positions stay. */
function withoutComments(text: string): string {
  return text.replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/\/[^\n]*|\/\*[^]*?\*\//g, (part) =>
    part.startsWith("/") ? part.replaceAll(/[^\n]/g, " ") : part,
  );
}
