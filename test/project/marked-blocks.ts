import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The files that a page shows, by name: code blocks with `<!-- file: NAME -->` on the line before the fence.
 *
 * Several blocks of one name are parts of one file, in order.
 */
export function markedFiles(root: string, page = "README.md"): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { name, body } of blocks(root, page, "file")) files.set(name, (files.get(name) ?? "") + body);
  return files;
}

/** A command that a page shows, and what it says the command prints. */
export interface MarkedCommand {
  readonly command: string;
  /** The whole of the standard output, white space at its end aside; `…` stands for anything. */
  readonly output: RegExp | undefined;
}

/**
 * The commands of the block with `<!-- run: NAME -->` on the line before its fence. Lines that begin with `# ` are what
 * the command before them prints; what follows two spaces and a `#` is a remark.
 *
 * @throws Error if the page has no such block.
 */
export function markedCommands(root: string, name: string, page = "README.md"): MarkedCommand[] {
  const block = blocks(root, page, "run").find((candidate) => candidate.name === name);
  if (block === undefined) throw new Error(`${page} has no block "run: ${name}"`);
  const commands: { command: string; lines: string[] }[] = [];
  for (const line of block.body.split("\n").filter(Boolean)) {
    if (line.startsWith("# ")) commands.at(-1)?.lines.push(line.slice(2));
    else commands.push({ command: line.replace(/ {2,}# .*$/, ""), lines: [] });
  }
  return commands.map(({ command, lines }) => ({
    command,
    output: lines.length === 0 ? undefined : pattern(lines.join("\n")),
  }));
}

/** A piece of a file that a page says to change. */
export interface MarkedChange {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** The changes that a page shows: blocks with `<!-- change: FILE -->` before the fence, whose lines begin as those of diff. */
export function markedChanges(root: string, page = "README.md"): MarkedChange[] {
  return blocks(root, page, "change").map(({ name, body }) => {
    const lines = body.split("\n").slice(0, -1);
    const side = (sign: string): string =>
      lines
        .filter((line) => line.startsWith(" ") || line.startsWith(sign))
        .map((line) => line.slice(1))
        .join("\n");
    return { file: name, before: side("-"), after: side("+") };
  });
}

function pattern(text: string): RegExp {
  const escaped = text.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join("[^]*?")}\\s*$`);
}

function blocks(
  root: string,
  page: string,
  kind: "file" | "run" | "change",
): { name: string; body: string }[] {
  const text = readFileSync(join(root, page), "utf8");
  const marked = new RegExp(`^<!-- ${kind}: (\\S+) -->\\n+\`\`\`\\w*\\n([\\s\\S]*?)^\`\`\`$`, "gm");
  return [...text.matchAll(marked)].map(([, name = "", body = ""]) => ({ name, body }));
}
