package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

func (d *devbox) doctorCommand() *cobra.Command {
	options := newBoxOptions()
	cmd := d.reports(&cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps a box from coming up here, and say how to mend it",
		Long: `Look at all that a box needs of this machine, and say how to mend what is wrong.
Nothing is changed. It looks with the same flags as ` + "`devbox up`" + `.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.check(d.name, cmd.Flags()); err != nil {
				return ofInput(err)
			}
			findings := engines().Check(cmd.Context(), options.config(d.name, cmd.Flags()))
			return d.printFindings(findings)
		},
	}, "text or json")
	options.add(cmd)
	return cmd
}

// printFindings reports what was found; an error sums up what is in the way.
func (d *devbox) printFindings(findings []bootstrap.Finding) error {
	var failed []string
	for _, f := range findings {
		if f.Level == bootstrap.Fail {
			failed = append(failed, f.Name)
		}
	}
	if d.output == jsonFormat {
		if err := d.printJSON(findings); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			printFinding(d, f)
		}
	}
	if len(failed) > 0 {
		return &problem{code: codePrerequisite, cause: fmt.Errorf("no box can be made here: %s", strings.Join(failed, ", "))}
	}
	return nil
}

func printFinding(d *devbox, f bootstrap.Finding) {
	mark := map[bootstrap.Level]string{bootstrap.OK: "✓", bootstrap.Warn: "!", bootstrap.Fail: "✗"}[f.Level]
	fmt.Fprintf(d.stdout, " %s %-11s %s\n", mark, f.Name, f.Message)
	if f.Hint != "" {
		fmt.Fprintf(d.stdout, "   next: %s\n", f.Hint)
	}
}
