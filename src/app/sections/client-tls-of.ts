import { readFileSync } from "node:fs";
import { fileProblem, tlsParts, tlsProblem, type TlsMaterial } from "../../core/net/tls-material.ts";
import type { SectionKit } from "./section.ts";

/** Files of certificates to call by. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Reads the certificates to call by.
 *
 * @param place key of the section that has the files
 * @throws what `mistake` returns, naming the key that cannot be used
 */
export function readClientTls(files: TlsFiles, place: string, mistake: SectionKit["mistake"]): TlsMaterial {
  const { cert, key } = files;
  if ((cert === undefined) !== (key === undefined)) {
    throw mistake(`${place}.cert`, `needs ${place}.key, and the other way round`);
  }
  const material: TlsMaterial = {};
  for (const part of tlsParts) {
    const file = part === "crl" ? undefined : files[part];
    if (file === undefined) continue;
    try {
      material[part] = readFileSync(file);
    } catch (cause) {
      throw mistake(`${place}.${part}`, `${file}: ${fileProblem(cause)}`);
    }
  }
  const problem = tlsProblem(material, (part) => `${place}.${part}`);
  if (problem !== undefined) throw mistake(place, problem);
  return material;
}
