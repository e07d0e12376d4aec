package confined

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Run has the gateway do its whole work under the filter: it takes the sockets that it is
// given, carries calls by HTTP/1.1 and HTTP/2, follows one file of its audit log by the
// next, reads its files again, hands over to another process, is asked and administered
// by its commands, ends, and works on its store while it doesn't run. All processes are
// without capabilities, with no_new_privs and without core files, and where the test is
// root they belong to another user.
func Run(t *testing.T, f Filter) {
	h := newHost(t, f)
	h.run("", "key", "init")
	token := h.connect()
	first := h.start()
	h.confinedProcess(first)
	h.calls(token)
	h.administer()
	h.fill(token)

	second := h.upgrade()
	h.confinedProcess(second)
	h.ends()
	h.calls(token)
	h.run("", "status")
	h.stop(second)

	h.run("", "audit", "verify")
	h.run("", "audit", "reindex")
	h.run("", "store", "check")
	h.run("", "store", "restore", h.path("backup/store.db"))
	h.run("", "demo", "--once")
}

// confinedProcess reads in what the kernel says of the process that it is confined
// (proc_pid_status(5)).
func (h *host) confinedProcess(pid int) {
	h.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	h.check(err)
	user := os.Geteuid()
	want := map[string]string{"Seccomp": "2", "NoNewPrivs": "1"}
	if user == 0 {
		user = nobody
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			want[set] = strings.Repeat("0", 16)
		}
	}
	want["Uid"] = strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d\t", user), 4))
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if w, ok := want[key]; ok && strings.TrimSpace(value) != w {
			h.t.Errorf("process %d has %s %q, want %q", pid, key, strings.TrimSpace(value), w)
		}
		delete(want, key)
	}
	for key := range want {
		h.t.Errorf("the kernel says nothing of %s", key)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	h.check(err)
	for line := range strings.Lines(string(limits)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
			h.t.Errorf("process %d may write core files: %s", pid, line)
		}
	}
}

// client goes through the proxy.
func (h *host) client(token string, http2 bool) *http.Client {
	h.t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(h.path("data/ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		h.t.Fatalf("the gateway's CA: %v", err)
	}
	proxy := &url.URL{Scheme: "http", User: url.UserPassword("billing", token), Host: h.address}
	t := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!http2)
	t.Protocols.SetHTTP2(http2)
	return &http.Client{Transport: t, Timeout: patience}
}

// call makes a call, and expects that it comes back well.
func (h *host) call(c *http.Client, method, path, body string, want int) {
	h.t.Helper()
	r, err := http.NewRequest(method, h.sim.SiteURL()+path, strings.NewReader(body))
	h.check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(r)
	h.check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	h.check(err)
	if resp.StatusCode != want {
		h.t.Fatalf("%s %s: %s, want %d\n%s", method, path, resp.Status, want, answer)
	}
}

// calls makes calls of both protocols: one that reads, one that writes, one that is
// refused.
func (h *host) calls(token string) {
	h.t.Helper()
	for _, http2 := range []bool{false, true} {
		c := h.client(token, http2)
		h.call(c, http.MethodGet, "/rest/api/3/myself", "", http.StatusOK)
		h.call(c, http.MethodPost, "/rest/api/3/issue", `{"fields": {"project": {"key": "ACME"}, "issuetype": {"name": "Task"}, "summary": "Confined"}}`, http.StatusCreated)
		h.call(c, http.MethodGet, "/rest/api/3/serverInfo", "", http.StatusForbidden)
		c.CloseIdleConnections()
	}
}

// administer runs the commands of operators beside the gateway.
func (h *host) administer() {
	h.t.Helper()
	h.file("policy.yaml", []byte("version: 1\n# another one\n"))
	for _, args := range [][]string{
		{"reload"}, {"status"}, {"config"}, {"version"}, {"policy", "list"},
		{"connection", "list"}, {"connection", "test", "acme"},
		{"client", "add", "reports", "--connection", "acme"}, {"client", "rotate", "reports"},
		{"egress", "list"}, {"egress", "publish", "--dir", h.path("backup/egress")},
		{"key", "rotate"}, {"key", "rewrap"}, {"key", "list"},
		{"store", "check"}, {"store", "backup", h.path("backup/store.db")},
		{"audit", "query"}, {"audit", "activity"}, {"audit", "verify"},
		{"audit", "report", "--connection", "acme", "--month", time.Now().UTC().Format("2006-01"), "--dir", h.path("backup/report")},
	} {
		h.run("", args...)
	}
}

// fill makes calls until a file of the audit log is full, so that another one follows.
func (h *host) fill(token string) {
	h.t.Helper()
	c := h.client(token, false)
	defer c.CloseIdleConnections()
	h.eventually("a second file of the audit log", func() bool {
		for range 200 {
			h.call(c, http.MethodGet, "/rest/api/3/myself", "", http.StatusOK)
		}
		files, err := filepath.Glob(h.path("data/audit/*.jsonl*"))
		h.check(err)
		return len(files) > 1
	})
}
