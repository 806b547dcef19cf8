import { envelopeType } from "../../call/call-envelope.ts";

/** The encrypted reply that a client asks for. */
export interface AcceptedEnvelope {
  /** The id of the key for which the reply is to be encrypted; undefined where none is named. */
  readonly kid: string | undefined;
}

const named = /application\/jose/i;
/** Elements of `Accept`: commas in quotes are part of them. */
const elements = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g;
const parameters = /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/g;

/**
 * What an `Accept` header asks for by `application/jose`, whose parameter `kid` names a key. Undefined where it does not,
 * refuses it with `q=0`, or prefers plain JSON: ranges such as `application/*` ask for JSON.
 */
export function acceptedEnvelope(accept: string | undefined): AcceptedEnvelope | undefined {
  if (accept === undefined || !named.test(accept)) return undefined;
  let found: { readonly quality: number; readonly kid: string | undefined } | undefined;
  let plain = 0;
  for (const element of accept.match(elements) ?? []) {
    const [range = ""] = element.split(";", 1);
    const type = range.trim().toLowerCase();
    if (type !== envelopeType && type !== "application/json") continue;
    const { q = "1", kid } = parametersOf(element);
    const quality = Number(q);
    if (!(quality >= 0 && quality <= 1)) continue;
    if (type === "application/json") plain = Math.max(plain, quality);
    else if (found === undefined || quality > found.quality) found = { quality, kid };
  }
  return found === undefined || found.quality === 0 || found.quality < plain ? undefined : { kid: found.kid };
}

function parametersOf(element: string): { readonly q?: string; readonly kid?: string } {
  const all = [...element.matchAll(parameters)].map(
    ([, name = "", quoted, token]) =>
      [name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? token ?? ""] as const,
  );
  return Object.fromEntries(all);
}
