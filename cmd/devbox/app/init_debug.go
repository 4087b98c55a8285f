package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/delve"
)

// launch is VS Code's list of what can be debugged.
type launch struct {
	Version        string          `json:"version"`
	Configurations []configuration `json:"configurations"`
}

// configuration leads VS Code to a Delve that runs already. Programs that are
// debugged name their source by the paths it has here, whatever -trimpath
// says; only where the folder is reached by a link do they name another.
type configuration struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Request string `json:"request"`
	Mode    string `json:"mode"`
	Adapter string `json:"debugAdapter"`
	Host    string `json:"host"`
	Port    int    `json:"port"`

	SubstitutePath []substitute `json:"substitutePath,omitempty"`
}

type substitute struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// goLand is a run configuration of GoLand's, for a name and a port.
const goLand = `<component name="ProjectRunConfigurationManager">
  <configuration default="false" name="%s" type="GoRemoteDebugConfigurationType" factoryName="Go Remote" port="%d">
    <option name="disconnectOption" value="LEAVE" />
    <disconnect value="LEAVE" />
    <method v="2" />
  </configuration>
</component>
`

// initDebug writes, into the working directory, what editors need to debug the
// services among targets, and prints each file's path and the command that
// runs them.
func (d *devbox) initDebug(targets []watcher.Target) error {
	all := launch{Version: "0.2.0"}
	files := map[string][]byte{}
	var order, wanted []string
	links, err := links()
	if err != nil {
		return err
	}
	for _, t := range targets {
		if !t.Debuggable() {
			continue
		}
		name, port := "devbox "+t.Name, delve.FirstPort+len(all.Configurations)
		all.Configurations = append(all.Configurations, configuration{
			Name: name, Type: "go", Request: "attach", Mode: "remote", Adapter: "dlv-dap", Host: "127.0.0.1", Port: port, SubstitutePath: links,
		})
		file := filepath.Join(".run", name+".run.xml")
		files[file], order = fmt.Appendf(nil, goLand, name, port), append(order, file)
		wanted = append(wanted, debuggee{t.Name, port}.String())
	}
	if len(wanted) == 0 {
		return classify(codeUsage, errors.New("there is no service that is built here"), "")
	}
	code, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(".vscode", "launch.json")
	files[file], order = append(code, '\n'), append([]string{file}, order...)
	var first error
	for _, file := range order { // what is in the way of one is not in that of others
		if err := d.place(file, files[file]); err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	_, err = fmt.Fprintf(d.stdout, "devbox up --debug %s\n", strings.Join(wanted, ","))
	return err
}

// links are what leads to the source where the working directory is reached by
// a link.
func links() ([]substitute, error) {
	dir, err := os.Getwd() // as the shell says it
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	if real == dir {
		return nil, nil
	}
	return []substitute{{From: "${workspaceFolder}", To: real}}, nil
}

// place writes a file, unless there is one, and prints its path. One that says
// something else stays, and the problem says what to add to it.
func (d *devbox) place(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making a folder for an editor: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
			_, err = fmt.Fprintln(d.stdout, path)
			return err
		}
		return &problem{
			code: codeUsage, cause: fmt.Errorf("%s is there already", path), evidence: strings.Split(strings.TrimSpace(string(content)), "\n"),
			next: "add to it what is above",
		}
	}
	if err != nil {
		return fmt.Errorf("writing for an editor: %w", err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing for an editor: %w", err)
	}
	_, err = fmt.Fprintln(d.stdout, path)
	return err
}
