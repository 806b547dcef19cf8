import { SetupError } from "../../core/errors/setup-error.ts";
import { tlsFailureOf } from "../../core/errors/tls-failure.ts";
import type { Address, FullKafkaOptions, KafkaSasl } from "./kafka-options.ts";

/**
 * Why a broker has refused this client for good: who it is, or TLS, does not fit, and only another setup mends that.
 * Undefined for what may be over later. It shows no password and no token.
 */
export function setupFailureOf(
  reason: unknown,
  { host, port }: Address,
  { sasl }: Pick<FullKafkaOptions, "sasl">,
): SetupError | undefined {
  const why = tlsFailureOf(reason) ?? refusalOf(causesOf(reason), sasl);
  if (why === undefined) return undefined;
  return new SetupError(`Kafka: the broker at ${host}:${port}: ${why}`, { cause: reason });
}

function refusalOf(causes: readonly Error[], sasl: KafkaSasl | undefined): string | undefined {
  const said = (text: RegExp): boolean => causes.some(({ message }) => text.test(message));
  if (said(/^Broker requires TLS/)) return "it wants TLS: set tls, {} for an authority that Node trusts";
  if (sasl === undefined) return undefined;
  const { mechanism, username } = sasl;
  if (said(/^Cannot find a suitable SASL mechanism/))
    return `it knows no SASL ${mechanism}: set another sasl.mechanism`;
  const isRefused = causes.some((error) => "code" in error && error.code === "PLT_KFK_AUTHENTICATION");
  if (!isRefused) return undefined;
  if (mechanism === "OAUTHBEARER") return "it refuses the token (SASL OAUTHBEARER): check sasl.token";
  return (
    `it refuses the user ${username} (SASL ${mechanism}): ` +
    "check sasl.username and sasl.password, or the user and password of the URL"
  );
}

/** An error with what has caused it: the client wraps errors, some of them in a list. */
function causesOf(reason: unknown): readonly Error[] {
  if (!(reason instanceof Error)) return [];
  const listed = reason instanceof AggregateError ? reason.errors.flatMap((error) => causesOf(error)) : [];
  return [reason, ...causesOf(reason.cause), ...listed];
}
