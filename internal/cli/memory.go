package cli

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// memoryLimit gives the process its memory limit, and returns it in bytes: the one
// that is set, or else that of GOMEMLIMIT, or else nine tenths of what the cgroup may
// have; 0 where there is none. The tenth is for what the kernel counts and the
// runtime does not, such as socket buffers.
func memoryLimit(set int64) int64 {
	most := set
	if most == 0 {
		most = debug.SetMemoryLimit(-1) // reads it
	}
	if most == math.MaxInt64 {
		most = cgroupMemory(os.DirFS("/")) / 10 * 9
	}
	if most > 0 {
		debug.SetMemoryLimit(most)
	}
	return most
}

// cgroupMemory is the least limit of memory of the process's cgroup and those above
// it, of version 2 or 1; 0 where there is none.
func cgroupMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	var least int64
	for line := range strings.Lines(string(text)) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		top, file := "sys/fs/cgroup", "memory.max"
		switch {
		case slices.Contains(strings.Split(controllers, ","), "memory"):
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case hierarchy != "0":
			continue
		}
		// In a container the group may be one of the host, which is not to be seen here.
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			if n := readLimit(root, path.Join(top, group, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

// readLimit reads a limit of a cgroup; 0 if it is none.
func readLimit(root fs.FS, file string) int64 {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // version 2 says "max"
	if err != nil || n > 1<<60 {                                        // version 1 says what no machine has
		return 0
	}
	return n
}
