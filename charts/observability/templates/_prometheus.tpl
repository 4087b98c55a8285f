{{/* What Prometheus asks, and for what: everything that a box has. Who it is that
has it, with the labels of the samples, says the container beside it
(serving/targets). What there is much of and nobody draws is dropped. */}}
{{- define "observability.prometheus" -}}
global:
  scrape_interval: {{ .Values.scrapeInterval }}
  scrape_timeout: {{ .Values.scrapeInterval }}
scrape_configs:
{{- if .Values.metricsPort }}
{{- $box := printf "host.devbox.internal:%v" .Values.metricsPort }}
# Controller, activator, registry and node are one process.
- job_name: serving
  static_configs:
  - targets: ['{{ $box }}']
# queue-proxy in every pod of a revision.
- job_name: queue-proxy
  http_sd_configs:
  - {url: "http://{{ $box }}/targets/queue-proxy", refresh_interval: 5s}
{{- range $part, $path := dict "prometheus" "metrics" "zipkin" "prometheus" }}
{{- if index $.Values.images $part }}
- job_name: {{ $part }}
  metrics_path: /parts/{{ $part }}/{{ $path }}
  static_configs:
  - targets: ['{{ $box }}']
{{- end }}
{{- end }}
{{- else }}
# Controller, activator and registry.
- job_name: serving
  {{- include "observability.targets" "serving" | nindent 2 }}
# queue-proxy in every pod of a revision: what the autoscaler would ask for,
# and what a person would.
- job_name: queue-proxy
  {{- include "observability.targets" "queue-proxy" | nindent 2 }}
# The gateway's Envoy.
- job_name: envoy
  metrics_path: /stats/prometheus
  {{- include "observability.targets" "envoy" | nindent 2 }}
- job_name: istiod
  {{- include "observability.targets" "istiod" | nindent 2 }}
# The kubelet, and its cAdvisor, which measures containers. Its certificate is
# its own work, so nobody has signed it.
{{- range $job, $it := dict
  "kubelet" (dict "path" "/metrics" "keep" "kubelet_(node|running|pod_start|pod_worker|runtime_operations)_.*|process_.*|go_goroutines")
  "cadvisor" (dict "path" "/metrics/cadvisor" "keep" "container_(cpu_usage_seconds_total|cpu_cfs_throttled.*|memory_(usage_bytes|working_set_bytes|rss)|start_time_seconds|last_seen|oom_events_total|network_(receive|transmit)_bytes_total)|machine_.*") }}
- job_name: {{ $job }}
  scheme: https
  metrics_path: {{ $it.path }}
  authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
  tls_config: {insecure_skip_verify: true}
  {{- include "observability.targets" "nodes" | nindent 2 }}
  metric_relabel_configs:
  - {source_labels: [__name__], regex: '{{ $it.keep }}', action: keep}
{{- end }}
- job_name: prometheus
  static_configs:
  - targets: [localhost:9090]
{{- if .Values.images.zipkin }}
- job_name: zipkin
  metrics_path: /prometheus
  static_configs:
  - targets: [zipkin.{{ .Release.Namespace }}.svc.cluster.local:9411]
{{- end }}
{{- end }}
{{- end }}

{{/* Asked for anew as often as a pod of a revision may come and go. */}}
{{- define "observability.targets" -}}
http_sd_configs:
- {url: "http://127.0.0.1:8082/{{ . }}", refresh_interval: 5s}
{{- end }}
