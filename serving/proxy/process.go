package proxy

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
)

// WriteProcess writes what this process takes of the machine, under the names
// that Prometheus' client libraries have for it. Where the kernel does not say
// it is left out.
func WriteProcess(w io.Writer) {
	write := func(name, kind, help string, value float64) {
		Describe(w, name, kind, help)
		fmt.Fprintf(w, "%s %s\n", name, strconv.FormatFloat(value, 'g', -1, 64))
	}
	write("go_goroutines", "gauge", "Goroutines that there are.", float64(runtime.NumGoroutine()))
	if pages, ok := field("/proc/self/statm", 1); ok {
		write("process_resident_memory_bytes", "gauge", "Memory that is resident.", pages*float64(os.Getpagesize()))
	}
	user, ok := field("/proc/self/stat", statUser)
	system, also := field("/proc/self/stat", statSystem)
	if ok && also {
		write("process_cpu_seconds_total", "counter", "Seconds of a core, in user and in kernel mode.", (user+system)/ticks)
	}
}

// Fields of /proc/self/stat after the program's name, and their unit: a
// hundredth of a second on every Linux (proc(5), sysconf(3)).
const (
	statUser   = 11
	statSystem = 12
	ticks      = 100
)

// field is one of a file's numbers, counted from 0. In /proc/self/stat it is
// counted from after the program's name, which may have anything in it.
func field(file string, i int) (float64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	if end := bytes.LastIndexByte(text, ')'); end >= 0 {
		text = text[end+1:]
	}
	fields := bytes.Fields(text)
	if i >= len(fields) {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(fields[i]), 64)
	return n, err == nil
}
