import type { SectionKit, SectionParts } from "./section.ts";

/** Checks of messages by the rules of their contract; the validator is loaded for the first rpc that has rules. */
export function open({ config }: SectionKit): SectionParts {
  const { requests, responses, maxViolations } = config.validation;
  const validation = {
    requests: requests === "off" ? "off" : "auto",
    responses: responses === "enforce" ? "enforce" : "off",
    maxViolations,
  } as const;
  return { grpc: { validation }, http: { validation } };
}
