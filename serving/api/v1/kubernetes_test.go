package v1_test

import (
	"testing"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// everything sets every field of a PodSpec, in the order that both our type
// and Kubernetes' are written in.
const everything = `automountServiceAccountToken: true
containers:
- args:
  - a
  command:
  - c
  env:
  - name: A
    value: a
  - name: B
    valueFrom:
      secretKeyRef:
        key: k
        name: s
  - name: C
    valueFrom:
      configMapKeyRef:
        key: k
        name: c
  envFrom:
  - secretRef:
      name: s
  image: i
  imagePullPolicy: Always
  livenessProbe:
    failureThreshold: 1
    httpGet:
      host: h
      httpHeaders:
      - name: header
        value: v
      path: /p
      port: 81
      scheme: HTTPS
    initialDelaySeconds: 2
    periodSeconds: 3
    successThreshold: 4
    timeoutSeconds: 5
  name: user-container
  ports:
  - containerPort: 81
    name: h2c
    protocol: TCP
  readinessProbe:
    grpc:
      port: 82
      service: s
  resources:
    limits:
      cpu: "1"
    requests:
      memory: 1Mi
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      add:
      - NET_BIND_SERVICE
      drop:
      - ALL
    readOnlyRootFilesystem: true
    runAsGroup: 2
    runAsNonRoot: true
    runAsUser: 1
    seccompProfile:
      type: RuntimeDefault
  startupProbe:
    exec:
      command:
      - x
  terminationMessagePath: /t
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  - mountPath: /s
    name: s
    readOnly: true
    subPath: p
  - mountPath: /e
    name: e
  workingDir: /w
enableServiceLinks: true
imagePullSecrets:
- name: r
initContainers:
- image: j
  name: init-container
  resources: {}
serviceAccountName: a
volumes:
- name: s
  secret:
    secretName: s
- configMap:
    name: c
  name: c
- emptyDir: {}
  name: e
- name: p
  projected:
    defaultMode: 292
    sources:
    - secret:
        name: s
    - downwardAPI:
        items:
        - fieldRef:
            fieldPath: metadata.name
          path: name
    - configMap:
        name: c
    - serviceAccountToken:
        path: t
`

// TestKubernetesLosesNothing: every field comes out as it went in.
func TestKubernetesLosesNothing(t *testing.T) {
	pod := read[servingv1.PodSpec](t, everything)
	got := pod.Kubernetes()
	if text := write(t, got); text != everything {
		t.Errorf("got\n%s", text)
	}
	got.Containers[0].Env[1].ValueFrom.SecretKeyRef.Name = "changed"
	if pod.Containers[0].Env[1].ValueFrom.SecretKeyRef.Name != "s" {
		t.Error("the result shares memory with the spec")
	}
}

func TestKubernetesAdds(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ports of probes", `
containers:
- name: a
  ports: [{containerPort: 81}]
  readinessProbe: {tcpSocket: {}}
  livenessProbe: {httpGet: {port: http1}}
  startupProbe: {grpc: {}}`, `
containers:
- livenessProbe:
    httpGet:
      port: 81
  name: a
  ports:
  - containerPort: 81
  readinessProbe:
    tcpSocket:
      port: 81
  resources: {}
  startupProbe:
    grpc:
      port: 81
      service: null
enableServiceLinks: false
`},
		{"read-only mounts", `
containers: [{name: a, volumeMounts: [{name: e, mountPath: /e}, {name: s, mountPath: /s}]}]
volumes: [{name: e, emptyDir: {}}, {name: s, secret: {secretName: s}}]`, `
containers:
- name: a
  resources: {}
  volumeMounts:
  - mountPath: /e
    name: e
  - mountPath: /s
    name: s
    readOnly: true
enableServiceLinks: false
volumes:
- emptyDir: {}
  name: e
- name: s
  secret:
    secretName: s
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := "\n" + write(t, read[servingv1.PodSpec](t, c.in).Kubernetes()); got != c.want {
				t.Errorf("got%swant%s", got, c.want)
			}
		})
	}
}

func TestServingContainer(t *testing.T) {
	for _, c := range []struct {
		in       string
		name     string
		port     int32
		protocol string
	}{
		{"containers: [{name: a}]", "a", 8080, "http1"},
		{"containers: [{name: a, ports: [{containerPort: 81}]}]", "a", 81, "http1"},
		{"containers: [{name: a}, {name: b, ports: [{name: h2c}]}]", "b", 8080, "h2c"},
	} {
		got := read[servingv1.PodSpec](t, c.in).ServingContainer()
		if got.Name != c.name || got.UserPort() != c.port || got.Protocol() != c.protocol {
			t.Errorf("%s: got %s, port %d, %s", c.in, got.Name, got.UserPort(), got.Protocol())
		}
	}
}
