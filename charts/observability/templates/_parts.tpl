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
