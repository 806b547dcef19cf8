/** What is wrong with an envelope. */
export type EnvelopeProblem = "malformed" | "compressed" | "signature";

const texts: Readonly<Record<EnvelopeProblem, string>> = {
  // One text for whatever fails, so that it says nothing about keys and contents.
  malformed:
    "the envelope cannot be opened: it must be a JWE in the compact form, for a known key, by ECDH-ES+A256KW or RSA-OAEP-256 with A256GCM",
  compressed: "compressed envelopes are refused: leave zip out",
  signature: "the signature in the envelope does not hold",
};

/** An envelope that is not opened. */
export class EnvelopeError extends Error {
  readonly problem: EnvelopeProblem;

  constructor(problem: EnvelopeProblem) {
    super(texts[problem]);
    this.name = "EnvelopeError";
    this.problem = problem;
  }
}
