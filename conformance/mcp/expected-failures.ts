/** Why scenarios or single checks of one fail: contracts have no words for what they ask for. */
export interface ExpectedFailure {
  readonly reason: string;
  /** Names of scenarios, or of a check of one: `scenario:check`. */
  readonly failing: readonly string[];
}

/** In both revisions. */
const always: readonly ExpectedFailure[] = [
  {
    reason: "rpcs are no prompts",
    failing: [
      "prompts-list",
      "prompts-get-simple",
      "prompts-get-with-args",
      "prompts-get-embedded-resource",
      "prompts-get-with-image",
    ],
  },
  { reason: "contracts do not say how an argument is completed", failing: ["completion-complete"] },
  { reason: "a result has one body, not several of different kinds", failing: ["tools-call-mixed-content"] },
  {
    reason: "schemas are made of messages, which have no conditions and anchors",
    failing: ["json-schema-2020-12"],
  },
];

/** Expected failures by revision. */
export const expectedFailures: Readonly<Record<"2026-07-28" | "2025-11-25", readonly ExpectedFailure[]>> = {
  "2026-07-28": [
    ...always,
    { reason: "rpcs are no prompts", failing: ["caching:sep-2549-prompts-list-caching-hints"] },
    {
      reason: "rpcs do not ask the client for capabilities that it may lack",
      failing: [
        "server-stateless:sep-2575-server-rejects-undeclared-capability",
        "server-stateless:sep-2575-missing-capability-http-400",
        "input-required-result-capability-check",
      ],
    },
    {
      reason: "rpcs ask their caller for nothing during a call: no elicitation, no sampling, no roots",
      failing: [
        "input-required-result-basic-elicitation",
        "input-required-result-basic-sampling",
        "input-required-result-basic-list-roots",
        "input-required-result-request-state",
        "input-required-result-multiple-input-requests",
        "input-required-result-multi-round",
        "input-required-result-non-tool-request",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
      ],
    },
    {
      reason: "the extension for tasks is not served",
      failing: [
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
      ],
    },
  ],
  "2025-11-25": [
    ...always,
    {
      reason: "rpcs log nothing to their caller",
      failing: ["logging-set-level", "tools-call-with-logging"],
    },
    {
      reason: "rpcs ask their caller for nothing during a call: no elicitation, no sampling",
      failing: [
        "tools-call-sampling",
        "tools-call-elicitation",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
      ],
    },
    {
      reason: "without sessions there is no stream for notices about one resource",
      failing: ["resources-subscribe", "resources-unsubscribe"],
    },
  ],
};
