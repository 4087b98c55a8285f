package cluster

import (
	"fmt"
	"strings"

	"sigs.k8s.io/kind/pkg/log"
)

// logger takes what kind tells its user about the phase it is in, and leaves
// out the rest.
type logger struct{ say func(string) }

func (logger) Warn(string)           {}
func (logger) Warnf(string, ...any)  {}
func (logger) Error(string)          {}
func (logger) Errorf(string, ...any) {}
func (l logger) Info(message string) { l.Infof("%s", message) }
func (l logger) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return log.NoopInfoLogger{}
	}
	return l
}
func (l logger) Enabled() bool { return true }

// Infof passes on the lines that open a phase: " • Starting control-plane 🕹️  ...".
func (l logger) Infof(format string, args ...any) {
	line := strings.TrimSpace(fmt.Sprintf(format, args...))
	phase, opens := strings.CutPrefix(line, "•")
	if !opens {
		return
	}
	plain := strings.Map(func(r rune) rune {
		if r > 0x2000 { // kind's pictures
			return -1
		}
		return r
	}, phase)
	l.say(strings.Trim(plain, " ."))
}
