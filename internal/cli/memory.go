package cli

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
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

// cgroupMemory is the least memory.max of the process's cgroup (version 2) and those
// above it; 0 where there is none.
func cgroupMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	var least int64
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !ok {
			continue
		}
		for dir := path.Join("sys/fs/cgroup", group); strings.HasPrefix(dir, "sys/fs/cgroup"); dir = path.Dir(dir) {
			text, err := fs.ReadFile(root, path.Join(dir, "memory.max"))
			if err != nil {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err == nil && n > 0 && (least == 0 || n < least) { // "max" is none
				least = n
			}
		}
	}
	return least
}
