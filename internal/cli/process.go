package cli

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// wantedFiles is how many files and sockets a gateway has open that carries as much
// as it takes: 20,480 connections to the proxy listener, as many to Jira in the worst
// case, and the admin listener's, the log's and the store's beside them.
const wantedFiles = 2*20<<10 + 4<<10

// limits are what the process may use.
type limits struct {
	files      uint64 // open at once; 0 if that can't be known
	processors int
	memory     int64 // soft limit of Go's heap; math.MaxInt64 without one
}

// processLimits reads them. The runtime of Go has raised the soft limit of open
// files to the hard one already (package os, Unix).
func processLimits() limits {
	l := limits{processors: runtime.GOMAXPROCS(0), memory: debug.SetMemoryLimit(-1)}
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		l.files = uint64(files.Cur)
	}
	return l
}

// fewFiles reports whether there are too few files for as many tunnels as the
// gateway takes.
func (l limits) fewFiles() bool { return l.files > 0 && l.files < wantedFiles }

func (l limits) memoryText() string {
	if l.memory == math.MaxInt64 {
		return "none"
	}
	return strconv.FormatInt(l.memory, 10) + " bytes"
}

// announceConfiguration logs what the gateway is started with, each value once: one
// line for each that somebody set, and one that names all others.
func announceConfiguration(logger *slog.Logger, list []setting) {
	v, l := programVersion(), processLimits()
	host, _ := os.Hostname() // "" if the system doesn't say
	var defaults []any
	for _, s := range list {
		if s.Source == fromDefault {
			defaults = append(defaults, slog.String(s.Name, s.Value))
			continue
		}
		logger.Info("setting", "name", s.Name, "value", s.Value, "source", s.Source)
	}
	logger.Info("settings at their default", defaults...)
	logger.Info("program", "version", v.Version, "revision", v.Revision, "go", v.Go, "platform", v.Platform, "host", host, "pid", os.Getpid(),
		"gomaxprocs", l.processors, "gomemlimit", l.memoryText(), "open_files", fmt.Sprint(l.files))
}
