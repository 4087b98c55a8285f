package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/kind-in-a-box/devbox/internal/compile"
)

// The part of SPDX 2.3 that says of which modules a Go program is made:
// https://spdx.github.io/spdx-spec/v2.3/
type (
	spdxDocument struct {
		Version       string             `json:"spdxVersion"`
		License       string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		Creation      spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID               string          `json:"SPDXID"`
		Name             string          `json:"name"`
		Version          string          `json:"versionInfo"`
		DownloadLocation string          `json:"downloadLocation"`
		Analyzed         bool            `json:"filesAnalyzed"`
		References       []spdxReference `json:"externalRefs,omitempty"`
	}
	spdxReference struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const spdxNothing = "NOASSERTION"

// bill writes of which modules the programs are made, as the linker wrote it
// into them.
func (a *archive) bill(programs ...string) error {
	d := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "devbox-" + a.goos + "-" + a.goarch,
		Creation: spdxCreation{Created: a.committed.Format(time.RFC3339), Creators: []string{"Tool: " + compile.Module + "/cmd/dist"}},
	}
	known := map[string]string{} // IDs of modules
	for _, program := range programs {
		info, err := buildinfo.ReadFile(a.dir.Path(program))
		if err != nil {
			return fmt.Errorf("reading what %s is made of: %w", program, err)
		}
		d.Namespace = "https://" + compile.Module + "/spdx/" + d.Name + "/" + info.Main.Version
		id := "SPDXRef-Program-" + program
		d.Packages = append(d.Packages, spdxPackage{ID: id, Name: program, Version: info.Main.Version, DownloadLocation: spdxNothing})
		d.Relationships = append(d.Relationships, spdxRelationship{d.ID, "DESCRIBES", id})
		d.contains(known, id, "stdlib", info.GoVersion[len("go"):])
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			d.contains(known, id, m.Path, m.Version)
		}
	}
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("writing what the programs are made of: %w", err)
	}
	if err := os.WriteFile(a.dir.Path("sbom.spdx.json"), append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing what the programs are made of: %w", err)
	}
	return nil
}

// contains notes that a program contains a module.
func (d *spdxDocument) contains(known map[string]string, program, path, version string) {
	id, ok := known[path+"@"+version]
	if !ok {
		id = "SPDXRef-Module-" + strconv.Itoa(len(known)+1)
		known[path+"@"+version] = id
		d.Packages = append(d.Packages, spdxPackage{
			ID: id, Name: path, Version: version, DownloadLocation: spdxNothing,
			References: []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}},
		})
	}
	d.Relationships = append(d.Relationships, spdxRelationship{program, "CONTAINS", id})
}
