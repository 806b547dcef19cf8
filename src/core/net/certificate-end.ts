import { certificatesOf, type TlsMaterial } from "./tls-material.ts";

const dayMs = 86_400_000;

/** How long before its end a certificate is warned of, in milliseconds: 21 days. */
export const warnedBeforeEndMs: number = 21 * dayMs;

/**
 * What is to be said about the ends of the certificates of a chain.
 *
 * @param name of the chain in texts, for example `tls.cert (/tls/tls.crt)`
 * @param nowMs time since 1970, in milliseconds
 */
export function endNotices({ cert }: TlsMaterial, name: string, nowMs: number): string[] {
  const certificates = cert === undefined ? [] : certificatesOf(cert);
  return certificates.flatMap(({ validFrom, validTo }, index) => {
    const which = `${name}: ${index === 0 ? "the certificate" : `certificate ${index + 1} of the chain`}`;
    const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
    if (toMs <= nowMs) return [`${which} ended on ${dateOf(toMs)}; clients refuse it until it is renewed`];
    if (fromMs > nowMs) return [`${which} begins on ${dateOf(fromMs)} only; clients refuse it until then`];
    if (toMs - nowMs > warnedBeforeEndMs) return [];
    const days = Math.floor((toMs - nowMs) / dayMs);
    const left = days === 0 ? "in less than a day" : days === 1 ? "in one day" : `in ${days} days`;
    return [`${which} ends on ${dateOf(toMs)}, ${left}; renew it`];
  });
}

function dateOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
