package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/kind-in-a-box/devbox/cmd/devbox/app"
	"github.com/kind-in-a-box/devbox/internal/release"
)

// document writes the completions of four shells and a man page a command.
func document(dir release.Dir, date time.Time) error {
	for _, folder := range []string{"completions", "man"} {
		if err := os.Mkdir(dir.Path(folder), 0o755); err != nil {
			return fmt.Errorf("making a folder of the archive: %w", err)
		}
	}
	command := app.Command()
	command.DisableAutoGenTag = true
	for file, write := range map[string]func(string) error{
		"devbox.bash": func(path string) error { return command.GenBashCompletionFileV2(path, true) },
		"_devbox":     command.GenZshCompletionFile,
		"devbox.fish": func(path string) error { return command.GenFishCompletionFile(path, true) },
		"devbox.ps1":  command.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(dir.Path("completions/" + file)); err != nil {
			return fmt.Errorf("writing the completion %s: %w", file, err)
		}
	}
	header := &doc.GenManHeader{Section: "1", Date: &date, Source: "devbox", Manual: "devbox"}
	if err := doc.GenManTree(command, header, dir.Path("man")); err != nil {
		return fmt.Errorf("writing the man pages: %w", err)
	}
	return nil
}
