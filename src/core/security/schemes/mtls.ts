import { checkOptions, show } from "../../config/check-options.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { AuthProviderSource } from "../auth-provider.ts";
import { MtlsProvider, type CertificateGrants, type MtlsOptions } from "../mtls.ts";

/**
 * Client certificates, which TLS has verified.
 *
 * @throws SetupError naming an option that is wrong
 */
export function mtls(options: MtlsOptions = {}): AuthProviderSource {
  checkOptions<MtlsOptions>("mtls", options, { names: undefined });
  for (const [name, grants] of Object.entries(options.names ?? {})) {
    if (!/^[!-~]+$/.test(name)) {
      throw new SetupError(
        `mtls: a name must be the URI or the DNS name of a certificate, not ${show(name)}`,
      );
    }
    checkOptions<CertificateGrants>(`mtls: names[${show(name)}]`, grants, {
      roles: undefined,
      scopes: undefined,
    });
  }
  return {
    kind: "mtls",
    options,
    open: (name, kit) => Promise.resolve(new MtlsProvider(options, name, kit)),
  };
}
