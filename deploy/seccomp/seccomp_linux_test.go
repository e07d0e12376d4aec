package seccomp_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"jiragate/deploy/internal/confined"
)

func TestMain(m *testing.M) { confined.Main(m) }

func content(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("jiragate.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// profile is the file as Docker reads it.
func profile(t *testing.T) *specs.LinuxSeccomp {
	t.Helper()
	p, err := seccomp.LoadProfile(string(content(t)), &specs.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// filter is what a container runtime makes of it.
func filter(t *testing.T) (f confined.Filter) {
	t.Helper()
	for _, group := range profile(t).Syscalls {
		if len(group.Args) == 0 {
			f.Names = append(f.Names, group.Names...)
			continue
		}
		a := group.Args[0]
		for _, name := range group.Names {
			c := confined.Condition{Name: name, Argument: uint32(a.Index), Value: a.Value}
			if a.Op == specs.OpMaskedEqual {
				c.Value, c.Mask = 0, a.Value
			}
			f.If = append(f.If, c)
		}
	}
	return f
}

// TestProfile: it refuses by default, is for both architectures, allows what they have,
// and nothing that the tests below would not understand.
func TestProfile(t *testing.T) {
	p := profile(t)
	if p.DefaultAction != specs.ActErrno || p.DefaultErrnoRet == nil || *p.DefaultErrnoRet != 1 {
		t.Errorf("by default it does %s, want SCMP_ACT_ERRNO with 1, EPERM", p.DefaultAction)
	}
	if want := []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64}; !slices.Equal(p.Architectures, want) {
		t.Errorf("it is for %v, want %v", p.Architectures, want)
	}
	seen := make(map[string]bool)
	for _, group := range p.Syscalls {
		if group.Action != specs.ActAllow {
			t.Errorf("%v: %s", group.Names, group.Action)
		}
		if len(group.Args) > 1 {
			t.Errorf("%v has %d conditions, and the tests know one", group.Names, len(group.Args))
		}
		for _, a := range group.Args {
			if a.Op != specs.OpEqualTo && a.Op != specs.OpMaskedEqual || a.ValueTwo != 0 {
				t.Errorf("%v has the condition %+v, which the tests don't know", group.Names, a)
			}
		}
		if !slices.IsSorted(group.Names) {
			t.Errorf("%v are not sorted", group.Names)
		}
		for _, name := range group.Names {
			_, amd64 := arch.X86_64.SyscallNames[name]
			_, arm64 := arch.AARCH64.SyscallNames[name]
			if !amd64 && !arm64 {
				t.Errorf("%s is unknown", name)
			}
			if seen[name] && len(group.Args) == 0 {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
}

// TestRuntimes: what runc itself calls under the filter, after CVE-2024-21626 and
// CVE-2025-52881, before it starts the program. Without these no container starts.
func TestRuntimes(t *testing.T) {
	f := filter(t)
	for _, name := range []string{"close", "execve", "fcntl", "fstatfs", "getdents64", "newfstatat", "openat", "openat2", "statx", "write"} {
		if !slices.Contains(f.Names, name) {
			t.Errorf("%s is not allowed", name)
		}
	}
}

// TestEachGroupSaysWhatItIsFor, in the file itself.
func TestEachGroupSaysWhatItIsFor(t *testing.T) {
	var file struct {
		Syscalls []struct {
			Names   []string
			Comment string
		}
	}
	if err := json.Unmarshal(content(t), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Syscalls {
		if group.Comment == "" {
			t.Errorf("%v don't", group.Names)
		}
	}
}

// TestWork: the gateway does its whole work, and asks for nothing else: any other system
// call would be its end.
func TestWork(t *testing.T) {
	f := filter(t)
	f.Kill = true
	confined.Run(t, f)
}

// TestRefused: what whoever got into the gateway would ask for is refused.
func TestRefused(t *testing.T) { confined.Probe(t, filter(t)) }
