package cli

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A mapping is given back only if it is read-only, private, and every page is the file's.
func TestCleanMappings(t *testing.T) {
	smaps := func(perms, anonymous, swap string) string {
		return "00400000-00500000 " + perms + " 00000000 fe:00 247741                     /opt/a b/jiragate\nSize: 1024 kB\nAnonymous: " + anonymous + " kB\nSwap: " + swap + " kB\nVmFlags: rd\n"
	}
	for name, tt := range map[string]struct {
		smaps string
		want  []mapping
	}{
		"code":                     {smaps("r-xp", "0", "0"), []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", true}}},
		"constants":                {smaps("r--p", "0", "0"), []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", true}}},
		"may be written to":        {smaps("rw-p", "0", "0"), []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", false}}},
		"shared":                   {smaps("r--s", "0", "0"), []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", false}}},
		"relocated, then sealed":   {smaps("r--p", "4", "0"), []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", false}}},
		"so, and swapped out":      {smaps("r--p", "0", "4"), []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", false}}},
		"of which nothing is told": {"00400000-00500000 r--p 00000000 fe:00 247741 /opt/a b/jiragate\n", []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", false}}},
		"one after another":        {smaps("r-xp", "0", "0") + "00600000-00700000 r--p 0 0:0 0\nSwap: 0 kB\n", []mapping{{0x400000, 0x100000, "/opt/a b/jiragate", true}, {0x600000, 0x100000, "", false}}},
		"nothing":                  {"", nil},
		"no addresses":             {"a b c d e f\n", nil},
	} {
		got, err := readMappings(strings.NewReader(tt.smaps))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
}

// The process goes on without its pages, which come back when they are read. It is a child,
// since other tests run code of this one meanwhile.
func TestProgramIsGivenBack(t *testing.T) {
	const child = "JIRAGATE_TEST_GIVES_BACK"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProgramIsGivenBack$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	before := residentFile(t)
	if err := giveProgramBack(); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); len(after) > len(before) || len(after) == len(before) && after >= before {
		t.Errorf("of the file %s KiB are resident, and %s after it", before, after)
	}
	if !regexp.MustCompile(`^\p{Greek}+$`).MatchString("αβγ") {
		t.Error("the program has lost its constants")
	}
}

// residentFile is how many KiB of the process are pages of files, in digits.
func residentFile(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Skip("the kernel does not tell what of the process is pages of files")
	}
	return string(found[1])
}
