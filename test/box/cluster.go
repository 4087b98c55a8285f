package box

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// REST is how the box's API server is asked, by the file that `devbox
// kubeconfig` names.
func (b *Box) REST() *rest.Config {
	b.t.Helper()
	if b.kubeconfig == "" {
		out, code := b.Run("kubeconfig")
		if code != 0 {
			b.t.Fatalf("devbox kubeconfig: exit %d\n%s", code, out)
		}
		b.kubeconfig = strings.TrimSpace(out)
	}
	config, err := clientcmd.BuildConfigFromFlags("", b.kubeconfig)
	if err != nil {
		b.t.Fatal(err)
	}
	return config
}

// Kubernetes is a client of the box's API server.
func (b *Box) Kubernetes() *kubernetes.Clientset {
	b.t.Helper()
	client, err := kubernetes.NewForConfig(b.REST())
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

// Pods counts the pods of the default namespace, those on their way out too.
func (b *Box) Pods() int {
	b.t.Helper()
	list, err := b.Kubernetes().CoreV1().Pods(metav1.NamespaceDefault).List(b.t.Context(), metav1.ListOptions{
		LabelSelector: "devbox.dev/standby!=waiting",
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list.Items)
}

// Columns are the headings under which kubectl prints the objects at a path
// of the API.
func (b *Box) Columns(path string) []string {
	b.t.Helper()
	data, err := b.Kubernetes().RESTClient().Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").DoRaw(b.t.Context())
	if err != nil {
		b.t.Fatalf("asking for %s as a table: %v", path, err)
	}
	var table metav1.Table
	if err := json.Unmarshal(data, &table); err != nil {
		b.t.Fatalf("reading the table of %s: %v\n%s", path, err, data)
	}
	headings := make([]string, len(table.ColumnDefinitions))
	for i, c := range table.ColumnDefinitions {
		headings[i] = strings.ToUpper(c.Name)
	}
	return headings
}
