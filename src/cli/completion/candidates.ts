/** What may stand in place of a word. */
export interface Completion {
  /** Whole words with what they mean, those that do not fit too. */
  readonly candidates: readonly Candidate[];
  /** What the shell completes itself. Default: nothing. */
  readonly paths?: "files" | "folders";
}

/** A word that may stand there. */
export interface Candidate {
  readonly word: string;
  /** What it means; empty for nothing to say. */
  readonly meaning: string;
}
