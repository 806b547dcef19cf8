/** What the checks read of objects of Kubernetes, Istio and the Gateway API. */

/** Labels, or what selects by them. */
export type Labels = Readonly<Record<string, string>>;

/** An object as it is rendered. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Labels;
    readonly annotations?: Labels;
  };
}

/** A selector of pods. */
export interface Selector {
  readonly matchLabels?: Labels;
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol?: "TCP" | "UDP";
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number };
  readonly grpc?: { readonly port: number };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports: readonly ContainerPort[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly limits: Labels; readonly requests: Labels };
  readonly securityContext: Readonly<Record<string, unknown>>;
}

export interface Deployment extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly minReadySeconds: number;
    readonly strategy: {
      readonly rollingUpdate: { readonly maxSurge: number; readonly maxUnavailable: number };
    };
    readonly selector: Selector;
    readonly template: {
      readonly metadata: { readonly labels: Labels; readonly annotations?: Labels };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: Readonly<Record<string, unknown>>;
        readonly topologySpreadConstraints: readonly {
          readonly topologyKey: string;
          readonly labelSelector: Selector;
        }[];
        readonly volumes?: readonly { readonly secret: { readonly secretName: string } }[];
        readonly containers: readonly Container[];
      };
    };
  };
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly targetPort: string | number;
  readonly protocol?: "TCP" | "UDP";
  readonly appProtocol?: string;
}

export interface Service extends KubeObject {
  readonly spec: {
    readonly clusterIP?: string;
    readonly selector: Labels;
    readonly ports: readonly ServicePort[];
  };
}

export interface ConfigMap extends KubeObject {
  readonly data: Labels;
}

export interface PodDisruptionBudget extends KubeObject {
  readonly spec: { readonly selector: Selector };
}

export interface HorizontalPodAutoscaler extends KubeObject {
  readonly spec: {
    readonly scaleTargetRef: { readonly kind: string; readonly name: string };
    readonly minReplicas: number;
    readonly maxReplicas: number;
  };
}

export interface RoleBinding extends KubeObject {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly kind: string; readonly name: string }[];
}

/** The pods of a direction of a policy: without selectors, all of the world. */
export interface PolicyPeer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
}

export interface PolicyRule {
  readonly from?: readonly PolicyPeer[];
  readonly to?: readonly PolicyPeer[];
  readonly ports: readonly { readonly protocol: "TCP" | "UDP"; readonly port: string | number }[];
}

export interface NetworkPolicy extends KubeObject {
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes: readonly ("Ingress" | "Egress")[];
    readonly ingress?: readonly PolicyRule[];
    readonly egress?: readonly PolicyRule[];
  };
}

/** Where a route of the mesh leads. */
export interface Destination {
  readonly host: string;
  readonly port: { readonly number: number };
  readonly subset?: string;
}

export interface MeshRoute {
  readonly match?: readonly {
    readonly uri?: { readonly exact?: string; readonly regex?: string };
    readonly method?: { readonly exact?: string; readonly regex?: string };
    readonly headers?: Readonly<Record<string, { readonly exact: string }>>;
  }[];
  readonly route: readonly { readonly destination: Destination; readonly weight?: number }[];
  readonly mirrors?: readonly {
    readonly destination: Destination;
    readonly percentage: { readonly value: number };
  }[];
  readonly fault?: {
    readonly abort?: { readonly grpcStatus: string; readonly percentage: { readonly value: number } };
    readonly delay?: { readonly fixedDelay: string; readonly percentage: { readonly value: number } };
  };
  readonly timeout?: string;
  readonly retries?: { readonly attempts: number; readonly retryOn?: string };
}

export interface VirtualService extends KubeObject {
  readonly spec: {
    readonly hosts: readonly string[];
    readonly gateways?: readonly string[];
    readonly http: readonly MeshRoute[];
  };
}

export interface DestinationRule extends KubeObject {
  readonly spec: {
    readonly host: string;
    readonly trafficPolicy: {
      readonly connectionPool: {
        readonly tcp: {
          readonly maxConnections: number;
          readonly connectTimeout: string;
          readonly tcpKeepalive: {
            readonly time: string;
            readonly interval: string;
            readonly probes: number;
          };
        };
        readonly http: {
          readonly http2MaxRequests: number;
          readonly maxConcurrentStreams?: number;
          readonly idleTimeout: string;
        };
      };
      readonly outlierDetection: {
        readonly consecutive5xxErrors: number;
        readonly consecutiveGatewayErrors: number;
        readonly interval: string;
        readonly baseEjectionTime: string;
        readonly maxEjectionPercent: number;
      };
    };
    readonly subsets?: readonly { readonly name: string; readonly labels: Labels }[];
  };
}

export interface AuthorizationPolicy extends KubeObject {
  readonly spec: {
    readonly selector?: Selector;
    readonly rules?: readonly {
      readonly from?: readonly {
        readonly source: {
          readonly principals?: readonly string[];
          readonly requestPrincipals?: readonly string[];
        };
      }[];
      readonly to?: readonly {
        readonly operation: { readonly ports?: readonly string[]; readonly paths?: readonly string[] };
      }[];
    }[];
  };
}

export interface RequestAuthentication extends KubeObject {
  readonly spec: {
    readonly selector?: Selector;
    readonly jwtRules: readonly {
      readonly issuer: string;
      readonly jwksUri: string;
      readonly audiences: readonly string[];
    }[];
  };
}

export interface EnvoyFilter extends KubeObject {
  readonly spec: {
    readonly workloadSelector: { readonly labels: Labels };
    readonly configPatches: readonly { readonly patch: { readonly value: object } }[];
  };
}

/** A Gateway of the Gateway API, or one of Istio, whose `servers` say the hosts. */
export interface Gateway extends KubeObject {
  readonly spec: {
    readonly listeners?: readonly {
      readonly name: string;
      readonly hostname: string;
      readonly tls: { readonly certificateRefs: readonly { readonly name: string }[] };
    }[];
    readonly servers?: readonly { readonly hosts: readonly string[] }[];
  };
}

/** An HTTPRoute or a GRPCRoute. */
export interface Route extends KubeObject {
  readonly spec: {
    readonly parentRefs: readonly { readonly name: string; readonly sectionName: string }[];
    readonly hostnames: readonly string[];
    readonly rules: readonly {
      readonly matches: readonly {
        readonly path?: { readonly type: string; readonly value: string };
        readonly method?: { readonly service: string; readonly method: string };
      }[];
      readonly timeouts?: { readonly request: string };
      readonly backendRefs: readonly { readonly name: string; readonly port: number }[];
    }[];
  };
}

export interface BackendTlsPolicy extends KubeObject {
  readonly spec: {
    readonly targetRefs: readonly {
      readonly kind: string;
      readonly name: string;
      readonly sectionName: string;
    }[];
    readonly validation: {
      readonly caCertificateRefs: readonly { readonly kind: string; readonly name: string }[];
    };
  };
}

/** The kinds that are read, by their names. */
export interface Kinds {
  readonly Deployment: Deployment;
  readonly Service: Service;
  readonly ServiceAccount: KubeObject;
  readonly ConfigMap: ConfigMap;
  readonly PodDisruptionBudget: PodDisruptionBudget;
  readonly HorizontalPodAutoscaler: HorizontalPodAutoscaler;
  readonly Role: KubeObject;
  readonly RoleBinding: RoleBinding;
  readonly NetworkPolicy: NetworkPolicy;
  readonly VirtualService: VirtualService;
  readonly DestinationRule: DestinationRule;
  readonly AuthorizationPolicy: AuthorizationPolicy;
  readonly RequestAuthentication: RequestAuthentication;
  readonly EnvoyFilter: EnvoyFilter;
  readonly Gateway: Gateway;
  readonly HTTPRoute: Route;
  readonly GRPCRoute: Route;
  readonly BackendTLSPolicy: BackendTlsPolicy;
}
