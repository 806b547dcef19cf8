/** Definition of one of our metrics, as on the metrics page. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

/** Upper bounds of all duration histograms, in seconds. */
export const durationBuckets: readonly number[] = Object.freeze([
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]);

/**
 * All metrics of our own. Metrics of the process (memory, CPU, event loop, garbage collection) are defined by
 * prom-client and follow these on the page.
 */
export const metricList = {
  callsStarted: {
    name: "ts_ms_calls_started_total",
    type: "counter",
    help: "Calls that were started, by a handler of this process or to an upstream.",
    labels: ["service", "method", "protocol"],
  },
  callsFinished: {
    name: "ts_ms_calls_finished_total",
    type: "counter",
    help: "Calls that ended, by gRPC status code; CODE_17 and above are codes of a service's own.",
    labels: ["service", "method", "protocol", "code"],
  },
  callsInFlight: {
    name: "ts_ms_calls_in_flight",
    type: "gauge",
    help: "Calls in progress.",
    labels: ["service", "method", "protocol"],
  },
  callDuration: {
    name: "ts_ms_call_duration_seconds",
    type: "histogram",
    help: "Time from a call's arrival to its end.",
    labels: ["service", "method", "protocol"],
  },
  callsRefused: {
    name: "ts_ms_calls_refused_total",
    type: "counter",
    help: "Calls that were refused before their handler, by the reason; they are not among those that ended.",
    labels: ["service", "method", "protocol", "reason"],
  },
  callFaults: {
    name: "ts_ms_call_faults_total",
    type: "counter",
    help: "Calls that ended with an unexpected exception.",
    labels: ["service", "method", "protocol"],
  },
  messages: {
    name: "ts_ms_messages_total",
    type: "counter",
    help: "Messages of calls that came over a connection, by direction: received or sent.",
    labels: ["service", "method", "protocol", "direction"],
  },
  processFaults: {
    name: "ts_ms_process_faults_total",
    type: "counter",
    help: "Uncaught exceptions and unhandled rejections outside of any call.",
    labels: ["origin"],
  },
  httpRequests: {
    name: "ts_ms_http_requests_total",
    type: "counter",
    help: "HTTP requests that were answered, by route template.",
    labels: ["route", "method", "status"],
  },
  httpDuration: {
    name: "ts_ms_http_request_duration_seconds",
    type: "histogram",
    help: "Time from an HTTP request's head to the end of its response.",
    labels: ["route", "method"],
  },
  http1Requests: {
    name: "ts_ms_http1_requests_total",
    type: "counter",
    help: "Requests over HTTP/1.1 that were answered, by what has read them: the fast lane or Node's parser.",
    labels: ["lane"],
  },
  ignoredUnknown: {
    name: "ts_ms_http_ignored_unknown_total",
    type: "counter",
    help: "Unknown query parameters and JSON fields that were ignored.",
    labels: ["route", "kind"],
  },
  mcpRequests: {
    name: "ts_ms_mcp_requests_total",
    type: "counter",
    help: "Requests of MCP that were answered: ok, failed with the error of an rpc, or refused by the protocol.",
    labels: ["method", "outcome"],
  },
  graphqlOperations: {
    name: "ts_ms_graphql_operations_total",
    type: "counter",
    help: "Operations of GraphQL that were executed; partial: with errors, and data nevertheless.",
    labels: ["type", "outcome"],
  },
  graphqlDuration: {
    name: "ts_ms_graphql_operation_duration_seconds",
    type: "histogram",
    help: "Time that operations of GraphQL took; of subscriptions, until their end.",
    labels: ["type"],
  },
  graphqlRefused: {
    name: "ts_ms_graphql_refused_total",
    type: "counter",
    help: "Operations of GraphQL that were not executed, or made too many calls, by the reason.",
    labels: ["reason"],
  },
  graphqlBatchedKeys: {
    name: "ts_ms_graphql_batched_keys",
    type: "histogram",
    help: "Keys of one call of a batch rpc by GraphQL.",
    labels: [],
  },
  connections: {
    name: "ts_ms_connections",
    type: "gauge",
    help: "Connections that are open at the ports of servers.",
    labels: ["server"],
  },
  connectionsRefused: {
    name: "ts_ms_connections_refused_total",
    type: "counter",
    help: "Connections that were closed at once, by the limit that they were above.",
    labels: ["server", "reason"],
  },
  certificateExpiry: {
    name: "ts_ms_tls_certificate_expiry_timestamp_seconds",
    type: "gauge",
    help: "When the certificate of a server ends, in seconds since 1970.",
    labels: ["server"],
  },
  eventLoopLag: {
    name: "ts_ms_event_loop_lag_seconds",
    type: "gauge",
    help: "The longest that the event loop was late since the page was last read.",
    labels: [],
  },
  logLinesDropped: {
    name: "ts_ms_log_lines_dropped_total",
    type: "counter",
    help: "Lines of logs that were lost, as what takes them was full or failed.",
    labels: [],
  },
  spansDropped: {
    name: "ts_ms_spans_dropped_total",
    type: "counter",
    help: "Spans that were lost, as their queue was full or the collector did not take them.",
    labels: [],
  },
  buildInfo: {
    name: "ts_ms_build_info",
    type: "gauge",
    help: "Always 1, with the versions of ts-ms and of Node.",
    labels: ["version", "node"],
  },
  http2Connections: {
    name: "ts_ms_http2_connections",
    type: "gauge",
    help: "HTTP/2 connections of this process that are open, by its side.",
    labels: ["side"],
  },
  http2Streams: {
    name: "ts_ms_http2_streams",
    type: "gauge",
    help: "Streams that are open on HTTP/2 connections.",
    labels: ["side"],
  },
  http2ConnectionsEnded: {
    name: "ts_ms_http2_connections_ended_total",
    type: "counter",
    help: "HTTP/2 connections that ended: closed, idle, age, goaway, protocol, flood, timeout, lost or drain.",
    labels: ["side", "cause"],
  },
  http2RefusedStreams: {
    name: "ts_ms_http2_refused_streams_total",
    type: "counter",
    help: "Streams that a server refused before it processed them.",
    labels: ["side"],
  },
  http2Pings: {
    name: "ts_ms_http2_pings_total",
    type: "counter",
    help: "Keepalive pings of this process: answered in time or unanswered.",
    labels: ["side", "outcome"],
  },
  clientGoaways: {
    name: "ts_ms_client_goaways_total",
    type: "counter",
    help: "GOAWAY frames of servers, by the HTTP/2 error code.",
    labels: ["upstream", "code"],
  },
  clientQueuedCalls: {
    name: "ts_ms_client_queued_calls",
    type: "gauge",
    help: "Calls that wait for a stream: for a connection, or because the server's limit is reached.",
    labels: ["upstream"],
  },
  clientCallsFinished: {
    name: "ts_ms_client_calls_finished_total",
    type: "counter",
    help: "Calls to upstreams with endpoints that ended, by gRPC status code.",
    labels: ["upstream", "service", "method", "code"],
  },
  clientCallDuration: {
    name: "ts_ms_client_call_duration_seconds",
    type: "histogram",
    help: "Time from the begin of such a call to its end, with all of its attempts.",
    labels: ["upstream", "service", "method"],
  },
  clientAttempts: {
    name: "ts_ms_client_attempts_total",
    type: "counter",
    help: "Attempts of such calls: first; retry; hedge, before another one has ended; transparent for one more after a server had not processed the call.",
    labels: ["upstream", "service", "method", "kind"],
  },
  clientRejected: {
    name: "ts_ms_client_rejected_total",
    type: "counter",
    help: "Calls that were refused on this side: no_endpoint, as none could be reached; breaker; concurrency.",
    labels: ["upstream", "reason"],
  },
  clientRetriesDenied: {
    name: "ts_ms_client_retries_denied_total",
    type: "counter",
    help: "Calls that got no further attempt: budget; deadline, which the pause would have passed; pushback of the server; committed, as their reply had begun; buffer, as their requests were not kept.",
    labels: ["upstream", "reason"],
  },
  clientQueue: {
    name: "ts_ms_client_queue_seconds",
    type: "histogram",
    help: "Time that calls waited for a place among the calls under way, where a policy limits these.",
    labels: ["upstream"],
  },
  clientBreakerState: {
    name: "ts_ms_client_breaker_state",
    type: "gauge",
    help: "Circuit breakers: 0 closed, 1 half-open, 2 open; of those of endpoints the worst.",
    labels: ["upstream", "breaker"],
  },
  clientInFlight: {
    name: "ts_ms_client_in_flight",
    type: "gauge",
    help: "Attempts in progress.",
    labels: ["upstream"],
  },
  clientEndpoints: {
    name: "ts_ms_client_endpoints",
    type: "gauge",
    help: "Endpoints, by their state: ready, connecting, failing, idle, not_serving by their own health, or ejected as they failed.",
    labels: ["upstream", "state"],
  },
  clientEjections: {
    name: "ts_ms_client_ejections_total",
    type: "counter",
    help: "Ejections of endpoints, by their reason: consecutive_failures or failure_ratio.",
    labels: ["upstream", "reason"],
  },
  clientConnections: {
    name: "ts_ms_client_connections",
    type: "gauge",
    help: "Connections to endpoints that are ready.",
    labels: ["upstream"],
  },
  clientConnectionsClosed: {
    name: "ts_ms_client_connections_closed_total",
    type: "counter",
    help: "Connections to endpoints that ended: goaway by the server, age, idle, lost, or removed with the endpoint or the client.",
    labels: ["upstream", "reason"],
  },
  discoveryAge: {
    name: "ts_ms_discovery_age_seconds",
    type: "gauge",
    help: "Time since the endpoints of an upstream were last found or confirmed.",
    labels: ["upstream"],
  },
  discoveryStale: {
    name: "ts_ms_discovery_stale",
    type: "gauge",
    help: "1 while an upstream is called by endpoints from before an empty answer, else 0.",
    labels: ["upstream"],
  },
  discoveryUpdates: {
    name: "ts_ms_discovery_updates_total",
    type: "counter",
    help: "Looks for endpoints of an upstream, by what they found: changed, unchanged, empty, or failed.",
    labels: ["upstream", "result"],
  },
  registrationRegistered: {
    name: "ts_ms_registration_registered",
    type: "gauge",
    help: "1 while a server of this process is registered as a service, else 0.",
    labels: ["name"],
  },
  upstreamRefused: {
    name: "ts_ms_upstream_refused_total",
    type: "counter",
    help: "Services of upstreams that were left out: service, routes, grpc or name, by what has them already.",
    labels: ["upstream", "reason"],
  },
  splitCalls: {
    name: "ts_ms_split_calls_total",
    type: "counter",
    help: "Calls that a split has placed, by side and by why: when, sticky, weight or fallback.",
    labels: ["rule", "to", "why"],
  },
  mirrorCalls: {
    name: "ts_ms_mirror_calls_total",
    type: "counter",
    help: "Copies of calls: equal, different, failed, compared, uncompared, dropped before the begin, or cut off.",
    labels: ["to", "result"],
  },
  faultsInjected: {
    name: "ts_ms_faults_injected_total",
    type: "counter",
    help: "Calls that were delayed or ended by a fault.",
    labels: ["rule", "kind"],
  },
  auth: {
    name: "ts_ms_auth_total",
    type: "counter",
    help: "Credentials that were looked at, by provider: accepted, refused, limited after too many bad ones, or unavailable.",
    labels: ["provider", "outcome"],
  },
  jwksAge: {
    name: "ts_ms_jwks_age_seconds",
    type: "gauge",
    help: "Time since the keys of a token issuer were last fetched.",
    labels: ["provider"],
  },
  jwksFetches: {
    name: "ts_ms_jwks_fetches_total",
    type: "counter",
    help: "Fetches of the keys of a token issuer: changed, same or failed.",
    labels: ["provider", "result"],
  },
  limitDecisions: {
    name: "ts_ms_limit_decisions_total",
    type: "counter",
    help: "Decisions of limits: allowed; refused; shadow, which would have refused; degraded, decided without the store.",
    labels: ["limit", "outcome"],
  },
  hubConnections: {
    name: "ts_ms_hub_connections",
    type: "gauge",
    help: "Open connections that a hub knows: WebSockets, and other streaming calls.",
    labels: ["door"],
  },
  hubConnectionsTotal: {
    name: "ts_ms_hub_connections_opened_total",
    type: "counter",
    help: "Connections that a hub has known.",
    labels: ["door"],
  },
  hubRefused: {
    name: "ts_ms_hub_refused_total",
    type: "counter",
    help: "Connections that a hub has refused: max_connections, max_per_user, max_per_address, or closed.",
    labels: ["reason"],
  },
  hubClosed: {
    name: "ts_ms_hub_closed_total",
    type: "counter",
    help: "Connections that are no more, by why: ended, left, failed, closed, or user_limit.",
    labels: ["door", "reason"],
  },
  hubPublished: {
    name: "ts_ms_hub_published_total",
    type: "counter",
    help: "Messages that were published in rooms of a topic, or sent to its readers.",
    labels: ["topic"],
  },
  hubDeliveries: {
    name: "ts_ms_hub_deliveries_total",
    type: "counter",
    help: "Messages by member: sent, lagging where it reads them later, filtered, dropped, or failed.",
    labels: ["topic", "result"],
  },
  hubEncodings: {
    name: "ts_ms_hub_encodings_total",
    type: "counter",
    help: "How often messages of topics were written as json, protobuf or sse: once for all members of a door.",
    labels: ["form"],
  },
  hubJoins: {
    name: "ts_ms_hub_joins_total",
    type: "counter",
    help: "Calls that asked to join rooms of a topic, by status code.",
    labels: ["topic", "code"],
  },
  hubResumes: {
    name: "ts_ms_hub_resumes_total",
    type: "counter",
    help: "Calls that joined rooms of a topic with history, by how they began: fresh, recovered, or reset.",
    labels: ["topic", "result"],
  },
  hubResets: {
    name: "ts_ms_hub_resets_total",
    type: "counter",
    help: "Members that were told that they have missed publications of a topic, by why.",
    labels: ["topic", "reason"],
  },
  overloadLimit: {
    name: "ts_ms_overload_limit",
    type: "gauge",
    help: "The most unary calls that overload control lets be in flight.",
    labels: [],
  },
  overloadInFlight: {
    name: "ts_ms_overload_in_flight",
    type: "gauge",
    help: "Unary calls in flight, as overload control counts them.",
    labels: [],
  },
  overloadState: {
    name: "ts_ms_overload_state",
    type: "gauge",
    help: "Overload control: 0 normal, 1 shedding, 2 short of memory.",
    labels: [],
  },
  shed: {
    name: "ts_ms_shed_total",
    type: "counter",
    help: "Calls that overload control refused, by reason (lag, concurrency or memory) and criticality.",
    labels: ["reason", "criticality"],
  },
  extAuthz: {
    name: "ts_ms_ext_authz_total",
    type: "counter",
    help: "Calls about which an authorizer was asked: allowed, denied, failed, failed_open, or remembered from an earlier answer.",
    labels: ["outcome"],
  },
  extAuthzDuration: {
    name: "ts_ms_ext_authz_duration_seconds",
    type: "histogram",
    help: "Time from the question to the authorizer's answer, or to the end of waiting for one.",
    labels: [],
  },
  extAuthzIgnored: {
    name: "ts_ms_ext_authz_ignored_headers_total",
    type: "counter",
    help: "Changes of headers in answers of an authorizer that were ignored, as the names belong to protocols.",
    labels: [],
  },
  auditRecords: {
    name: "ts_ms_audit_records_total",
    type: "counter",
    help: "Records of the audit log: written; dropped, as the file could not be written; sampled, of refused credentials and of requests that became no call, beyond ten of a client in a second.",
    labels: ["result"],
  },
  configReloads: {
    name: "ts_ms_config_reloads_total",
    type: "counter",
    help: "Reloads of the configuration: applied, unchanged, or rejected for a mistake.",
    labels: ["result"],
  },
  configRestartNeeded: {
    name: "ts_ms_config_restart_needed",
    type: "gauge",
    help: "Keys of the configuration that were changed and that only a restart takes.",
    labels: [],
  },
} as const satisfies Record<string, MetricDefinition>;
