{{/* The labels of every object of the chart. */}}
{{- define "serving.labels" -}}
app.kubernetes.io/part-of: devbox
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What a pod may not do: nothing of the stack needs more. */}}
{{- define "serving.podSecurity" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "serving.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The Go runtime collects harder near the limit instead of being killed at it. */}}
{{- define "serving.env" -}}
env:
- name: GOMEMLIMIT
  valueFrom: {resourceFieldRef: {resource: limits.memory}}
{{- end }}

{{/* Ready within a second of being so; alive unless stuck for half a minute. */}}
{{- define "serving.probes" -}}
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 1
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
{{- end }}
