package tutorials

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The walk with the simulator goes as it stands on the page, by other ports, so that
// nothing else is in its way; and with pauses where a person reads on.
func TestGettingStarted(t *testing.T) {
	page, err := os.ReadFile("../../docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{dir: t.TempDir()}
	const build = "go build -trimpath -o jiragate .\n"
	script := blocks(string(page), "sh")
	if !strings.HasPrefix(script, build) {
		t.Fatalf("it does not begin with %s", build)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(s.dir, "jiragate"), "jiragate").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	free := freeAddresses(t, 5)
	script = strings.NewReplacer(
		build, "",
		"> simulator.log 2>&1 &\n", "--cloud-listen "+free[0]+" --auth-listen "+free[1]+" --datacenter-listen "+free[2]+" > simulator.log 2>&1 &\n"+
			"until test -s jira/simulator.json; do sleep 0.1; done\n",
		"> gateway.log 2>&1 &\n", "> gateway.log 2>&1 &\nuntil ./jiragate status > /dev/null; do sleep 0.1; done\n",
		"127.0.0.1:9443", free[0], "127.0.0.1:9444", free[1], "127.0.0.1:8080", free[3], "127.0.0.1:8081", free[4],
	).Replace(script)
	s.write(t, "walk.sh", []byte("set -eum\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"+script+"wait || true\n"))

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	walk := exec.CommandContext(ctx, "bash", "walk.sh")
	walk.Dir = s.dir
	walk.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "JIRAGATE_PROXY_LISTEN=" + free[3], "JIRAGATE_ADMIN_LISTEN=" + free[4]}
	said, err := walk.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "gateway.log")) // if there is one
		t.Fatalf("%v\n%s\n%s", err, said, log)
	}
	for _, want := range []string{
		`"displayName":"Jira Bot"`, `"code":"operation_not_documented"`, // curl's two calls
		"result      ok", // connection test
		"myself.get            allow", "result       ok", "decision    deny", "198.51.100.7", "connections  1",
	} {
		if !strings.Contains(string(said), want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	arrived, err := os.ReadFile(filepath.Join(s.dir, "simulator.log"))
	if err != nil || !strings.Contains(string(arrived), "/rest/api/3/myself") || strings.Contains(string(arrived), "/rest/api/3/search") {
		t.Errorf("%v; arrived at Jira:\n%s", err, arrived)
	}
}

// freeAddresses are some where nobody listens at the moment.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // together, so that none is given out twice
		all = append(all, l.Addr().String())
	}
	return all
}
