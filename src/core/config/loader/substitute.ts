import { fileSignature, type SeenFile } from "./file-watch.ts";
import { mask } from "./mask.ts";
import { readSecretFile } from "./secret-file.ts";

/** From where references are filled in. */
export interface References {
  readonly env: NodeJS.ProcessEnv;
  /** The content of a secret file. @throws Error that says what is wrong with it */
  readFile(path: string): string;
}

/** A text whose references are filled in. */
export interface Substituted {
  readonly text: string;
  /** The text with the contents of files replaced, where it has any. */
  readonly masked?: string;
}

/** What a reference without a value is: an error, unless its section is switched off. */
export class MissingReference extends Error {}

/**
 * Fills in `${NAME}`, `${NAME:-default}`, `${NAME:?text}` and `${file:PATH}`; `$${` stands for `${`. What is filled in
 * is text and is not read for references again.
 *
 * @returns undefined if there are none in the text
 * @throws MissingReference for a variable that is not set
 * @throws Error that says what is wrong with a reference
 */
export function substitute(text: string, references: References): Substituted | undefined {
  if (!text.includes("${")) return undefined;
  let filled = "";
  let masked = "";
  let hasFile = false;
  let at = 0;
  for (;;) {
    const start = text.indexOf("${", at);
    if (start === -1) break;
    const isEscaped = text[start - 1] === "$" && start > at;
    const before = text.slice(at, isEscaped ? start - 1 : start);
    filled += before;
    masked += before;
    if (isEscaped) {
      filled += "${";
      masked += "${";
      at = start + 2;
      continue;
    }
    const end = text.indexOf("}", start);
    if (end === -1) throw new Error(`a reference \${ has no }; write $\${ for the characters themselves`);
    const body = text.slice(start + 2, end);
    const value = valueOf(body, references);
    filled += value;
    const isFile = body.startsWith("file:");
    hasFile ||= isFile;
    masked += isFile ? mask : value;
    at = end + 1;
  }
  filled += text.slice(at);
  masked += text.slice(at);
  return hasFile ? { text: filled, masked } : { text: filled };
}

function valueOf(body: string, references: References): string {
  if (body.startsWith("file:")) return references.readFile(body.slice("file:".length));
  const [, name, operator = "", rest = ""] = /^([A-Za-z_][A-Za-z0-9_]*)(:-|:\?|:)?(.*)$/s.exec(body) ?? [];
  if (name === undefined || (operator === "" && rest !== "")) {
    throw new Error(
      `\${${body}} is no reference: \${NAME}, \${NAME:-default}, \${NAME:?text} or \${file:PATH}`,
    );
  }
  const value = references.env[name];
  switch (operator) {
    case ":-":
      return value === undefined || value === "" ? rest : value;
    case ":?":
      if (value === undefined || value === "") {
        throw new MissingReference(
          `the environment variable ${name} is not set: ${rest === "" ? "it must be" : rest}`,
        );
      }
      return value;
    case ":":
      throw new Error(`\${${name}:…} is no reference: a default is written \${${name}:-…}`);
    default:
      if (value === undefined) {
        throw new MissingReference(
          `the environment variable ${name} is not set; \${${name}:-…} has a default`,
        );
      }
      return value;
  }
}

/** References to this environment and to files. */
export class SourceReferences implements References {
  readonly env: NodeJS.ProcessEnv;
  /** The files that were read, as they were just before. */
  readonly seen = new Map<string, SeenFile>();
  /** What is doubtful about sources. */
  readonly warnings = new Set<string>();

  constructor(env: NodeJS.ProcessEnv) {
    this.env = env;
  }

  readonly readFile = (path: string): string => {
    this.see(path, true);
    const { text, warning } = readSecretFile(path);
    if (warning !== undefined) this.warnings.add(warning);
    return text;
  };

  /** Notes a file that is about to be read. */
  see(path: string, isSecret: boolean): void {
    if (!this.seen.has(path)) this.seen.set(path, { isSecret, signature: fileSignature(path) });
  }
}
