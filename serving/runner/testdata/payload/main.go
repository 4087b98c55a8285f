// Payload is the program of the images that the tests run.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string, args []string) error {
	switch command {
	case "exit":
		code, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		os.Exit(code)
	case "report":
		return report()
	case "cat":
		for _, name := range args {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			os.Stdout.Write(content)
		}
	case "ls":
		for _, name := range args {
			files, err := filepath.Glob(name)
			if err != nil {
				return err
			}
			fmt.Println(strings.Join(files, "\n"))
		}
	case "stat":
		for _, name := range args {
			info, err := os.Lstat(name)
			if err != nil {
				return err
			}
			fmt.Println(name, info.Mode())
		}
	case "write":
		for _, name := range args {
			if err := os.WriteFile(name, []byte("written\n"), 0o600); err != nil {
				return err
			}
		}
	case "wait": // until SIGTERM, which it takes with grace
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("ready")
		<-stop
		os.Exit(3)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "fork": // a child that keeps the output open, and then its end
		self, err := os.Executable()
		if err != nil {
			return err
		}
		child := exec.Command(self, "stubborn")
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			return err
		}
		if err := child.Start(); err != nil {
			return err
		}
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			return err
		}
		fmt.Println("child", child.Process.Pid)
		if len(args) > 0 {
			time.Sleep(time.Hour)
		}
	default:
		return fmt.Errorf("no command %s", command)
	}
	return nil
}

// report says what the process finds itself to be.
func report() error {
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	status := map[string]string{}
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"uid": os.Getuid(), "gid": os.Getgid(), "groups": groups, "pid": os.Getpid(),
		"hostname": hostname, "dir": dir, "env": os.Environ(), "args": os.Args,
		"effective": status["CapEff"], "bounding": status["CapBnd"], "noNewPrivs": status["NoNewPrivs"],
	})
}
