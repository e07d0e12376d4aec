package cli

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestCgroupMemory(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, tt := range []struct {
		name  string
		files fstest.MapFS
		want  int64
	}{
		{"own", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("1000\n")}, 1000},
		{"less above", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("1000\n"), "sys/fs/cgroup/a/memory.max": file("500\n")}, 500},
		{"in a container", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("700\n")}, 700},
		{"none", fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")}, 0},
		{"nonsense", fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("-1\n")}, 0},
		{"of the host, unseen in the container", fstest.MapFS{"proc/self/cgroup": file("0::/../../system.slice/x\n"), "sys/fs/cgroup/memory.max": file("700\n")}, 700},
		{"version 1", fstest.MapFS{"proc/self/cgroup": file("5:cpu,cpuacct:/a\n4:memory:/a/b\n1:name=systemd:/c\n"), "sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("600\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"), "sys/fs/cgroup/memory/c/memory.limit_in_bytes": file("5\n")}, 600},
		{"version 1 in a container", fstest.MapFS{"proc/self/cgroup": file("4:memory:/docker/0123\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("500\n")}, 500},
		{"version 1 without a limit", fstest.MapFS{"proc/self/cgroup": file("4:memory:/a\n"), "sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
		{"both versions", fstest.MapFS{"proc/self/cgroup": file("4:memory:/a\n0::/a\n"), "sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("400\n")}, 400},
		{"version 1, of which memory is none", fstest.MapFS{"proc/self/cgroup": file("4:cpu:/a\n"), "sys/fs/cgroup/a/memory.max": file("700\n")}, 0},
		{"another system", fstest.MapFS{}, 0},
	} {
		if got := cgroupMemory(tt.files); got != tt.want {
			t.Errorf("%s: %d", tt.name, got)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if got := memoryLimit(8 << 30); got != 8<<30 || debug.SetMemoryLimit(-1) != 8<<30 {
		t.Errorf("set: %d", got)
	}
	if got := memoryLimit(0); got != 8<<30 {
		t.Errorf("the runtime's own: %d", got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if got := memoryLimit(0); got < 0 || got == math.MaxInt64 {
		t.Errorf("none set: %d", got)
	}
}
