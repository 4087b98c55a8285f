{{/* The labels of every object of the chart. */}}
{{- define "observability.labels" -}}
app.kubernetes.io/part-of: devbox
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What a pod may not do. The images name no user, or one of their own that
may be any: the pod says who it runs as. */}}
{{- define "observability.podSecurity" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "observability.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The name of the port at which a part takes requests. That of user-port gets a
number that is free on the machine, where pods share the machine's network, and
the process is told of it as PORT. */}}
{{- define "observability.port" -}}
{{ if .Values.metricsPort }}user-port{{ else }}http{{ end }}
{{- end }}

{{/* Where a part in one process with the API server listens, in its environment. */}}
{{- define "observability.listen" -}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: PORT, value: "{{ . }}"}
{{- end }}

{{/* How the parts reach each other. */}}
{{- define "observability.inside" -}}
{{- if .root.Values.metricsPort -}}
http://host.devbox.internal:{{ .root.Values.metricsPort }}/parts/{{ .name }}
{{- else -}}
http://{{ .name }}.{{ .root.Release.Namespace }}.svc.cluster.local:{{ .port }}
{{- end }}
{{- end }}

{{/* What keeps a part running, given its name and its pod's spec: a Deployment, or
where there are none a Pod, which the node restarts. A Pod cannot be changed, so
its name says what is in it, and another is another. */}}
{{- define "observability.workload" -}}
{{- if .root.Values.metricsPort -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .name }}-{{ print .spec .configuration | sha256sum | trunc 8 }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    app: {{ .name }}
    {{- include "observability.labels" .root | nindent 4 }}
spec:
  {{- .spec | nindent 2 }}
{{- else -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "observability.labels" .root | nindent 4 }}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: {{ .name }}}}
  template:
    metadata:
      labels: {app: {{ .name }}}
      {{- with .configuration }}
      annotations:
        # A new configuration is a new pod.
        devbox.dev/configuration: {{ sha256sum . | trunc 16 }}
      {{- end }}
    spec:
      {{- .spec | nindent 6 }}
---
{{ include "observability.address" . }}
{{- end }}
{{- end }}

{{/* The address of a part in the cluster, and its name on the developer's
machine: http://<name>.localhost:<the gateway's port>. */}}
{{- define "observability.address" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "observability.labels" .root | nindent 4 }}
spec:
  selector: {app: {{ .name }}}
  ports:
  - {name: http, port: {{ .port }}, targetPort: http}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "observability.labels" .root | nindent 4 }}
spec:
  gateways: [knative-serving/knative-ingress-gateway]
  hosts: [{{ .name }}.localhost]
  http:
  - route:
    - destination:
        host: {{ .name }}.{{ .root.Release.Namespace }}.svc.cluster.local
        port: {number: {{ .port }}}
---
# Who looks at traces makes none. (Istio has no field for this.)
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: devbox-{{ .name }}
  namespace: istio-system
  labels: {{- include "observability.labels" .root | nindent 4 }}
spec:
  configPatches:
  - applyTo: HTTP_ROUTE
    match:
      context: GATEWAY
      routeConfiguration: {vhost: {name: "{{ .name }}.localhost:80"}}
    patch:
      operation: MERGE
      value:
        tracing: {client_sampling: {numerator: 0}, random_sampling: {numerator: 0}, overall_sampling: {numerator: 0}}
{{- end }}
