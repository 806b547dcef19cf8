import { readCertificates, TlsOptionError } from "../../core/net/tls-files.ts";
import { isFile, type ServerTlsOptions } from "../../core/net/tls-options.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** TLS of all servers. */
export function open(kit: SectionKit): SectionParts {
  const tls = tlsOf(kit);
  if (tls !== undefined) check(tls, kit);
  return tls === undefined ? {} : { grpc: { tls }, http: { tls }, features: ["https"] };
}

function tlsOf({ config, logger, mistake, isSet }: SectionKit): ServerTlsOptions | undefined {
  const { cert, key, ca, crl, client } = config.tls ?? {};
  if (cert === undefined || key === undefined) {
    if (cert !== undefined) throw mistake("tls.cert", "needs tls.key");
    if (key !== undefined) throw mistake("tls.key", "needs tls.cert");
    if (ca !== undefined) throw mistake("tls.ca", "needs tls.cert and tls.key");
    return undefined;
  }
  if ((client === "optional" || client === "required") && ca === undefined) {
    throw mistake("tls.client", `"${client}" needs tls.ca`);
  }
  if (ca !== undefined && !isSet("tls.client")) {
    logger.warn("no client certificate is requested: tls.ca needs tls.client, required or optional");
  }
  const { minVersion, ciphers = [], curves = [], sni = [] } = config.tls ?? {};
  return {
    minVersion: minVersion === "1.3" ? "1.3" : "1.2",
    ...(ciphers.length === 0 ? {} : { ciphers }),
    ...(curves.length === 0 ? {} : { curves }),
    ...(sni.length === 0
      ? {}
      : { sni: sni.map((one) => ({ names: one.names, cert: { file: one.cert }, key: { file: one.key } })) }),
    cert: { file: cert },
    key: { file: key },
    ...(ca === undefined ? {} : { ca: { file: ca } }),
    ...(crl === undefined ? {} : { crl: { file: crl } }),
    clientCertificates: client === "optional" || client === "required" ? client : "none",
    onReload(err) {
      if (err === undefined) logger.info({}, "TLS files reloaded");
      else logger.error({ err }, err.message);
    },
    onWarning: (text) => logger.warn({}, text),
  };
}

/** Reads the files once before any server does, so that a mistake names its place in the configuration. */
function check(tls: ServerTlsOptions, { mistake }: SectionKit): void {
  try {
    readCertificates(tls, (option, pem) => (pem !== undefined && isFile(pem) ? pem.file : `tls.${option}`));
  } catch (error) {
    if (!(error instanceof TlsOptionError)) throw error;
    throw mistake(`tls.${error.option}`, error.message);
  }
}
