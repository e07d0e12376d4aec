package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goPackage is what `go list` tells of a package.
type goPackage struct {
	ImportPath string
	Dir        string
	Doc        string
	Deps       []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		if base := filepath.Base(p.ImportPath); slices.Contains([]string{"util", "utils", "common", "helpers", "misc"}, base) {
			t.Errorf("%s: a package is named for its job", p.ImportPath)
		}
	}
}

// forbidden lists what a package must not depend on, directly or through
// others, and why.
var forbidden = []struct{ pkg, dep, why string }{
	{"jiragate/policy", "net", "the policy is pure: it decides from what it is told"},
	{"jiragate/policy", "net/http", "the policy is pure: it decides from what it is told"},
	{"jiragate/policy", "jiragate/tokenstore", "the policy knows no stores"},
	{"jiragate/policy", "jiragate/gateway/...", "the policy knows no calls"},
	{"jiragate/policy/history", "jiragate/gateway/...", "what is kept of policies knows no calls or records"},
	{"jiragate/policy/history", "jiragate/tokenstore", "what is kept of policies knows no stores"},
	{"jiragate/policy/history", "net/http", "what is kept of policies is files"},
	{"jiragate/certs", "jiragate/...", "certificates know nothing else"},
	{"jiragate/certs/baseline", "jiragate/...", "which TLS is spoken depends on nothing"},
	{"jiragate/gateway/egress", "jiragate/tokenstore", "the dialer knows no connections or their credentials"},
	{"jiragate/gateway/egress", "jiragate/policy", "the dialer knows no paths"},
	{"jiragate/gateway/egress", "jiragate/gateway/...", "the dialer knows no calls or records"},
	{"jiragate/gateway/audit", "jiragate/policy", "the log knows no policy rules"},
	{"jiragate/gateway/audit", "net/http", "the log knows no HTTP"},
	{"jiragate/gateway/audit", "jiragate/tokenstore", "the log holds no credentials"},
	{"jiragate/gateway/audit/shipping", "jiragate/gateway/telemetry", "who emits records doesn't know how they are exported"},
	{"jiragate/gateway/audit/shipping", "go.opentelemetry.io/otel/sdk/...", "who emits records doesn't know how they are exported"},
	{"jiragate/gateway/audit/shipping", "jiragate/gateway", "copies of records know no calls"},
	{"jiragate/gateway/audit/shipping", "jiragate/gateway/admin/...", "copies of records know no administration"},
	{"jiragate/gateway/audit/shipping", "jiragate/policy", "copies of records know no policy rules"},
	{"jiragate/gateway/audit/shipping", "jiragate/tokenstore", "copies of records hold no credentials"},
	{"jiragate/gateway/audit/shipping", "net/http", "copies of records know no HTTP"},
	{"jiragate/gateway/telemetry", "jiragate/...", "telemetry knows nothing of the domain"},
	{"jiragate/gateway", "jiragate/tokenstore/bolt", "the gateway doesn't know how anything is stored"},
	{"jiragate/gateway", "jiragate/tokenstore/keyset", "the gateway doesn't know how anything is sealed"},
	{"jiragate/gateway", "jiragate/gateway/admin", "calls don't depend on their administration"},
	{"jiragate/gateway", "jiragate/internal/cli", "the product doesn't depend on its commands"},
	{"jiragate/gateway/admin", "jiragate/internal/cli", "the product doesn't depend on its commands"},
	{"jiragate/gateway/admin", "jiragate/gateway", "administration doesn't know how calls are proxied"},
	{"jiragate/gateway/admin", "github.com/getkin/kin-openapi/...", "the OpenAPI document is checked by tests, and served as it is"},
	{"jiragate/gateway/admin/act", "jiragate/tokenstore", "records of acts hold no credentials"},
	{"jiragate/gateway/admin/consent", "jiragate/gateway", "consents don't know how calls are proxied"},
	{"jiragate/gateway/admin/consent", "jiragate/tokenstore/bolt", "consents don't know how anything is stored"},
	{"jiragate/gateway/admin/signin", "jiragate/gateway", "who somebody is has nothing to do with calls"},
	{"jiragate/gateway/admin/signin", "jiragate/gateway/admin/console", "whoever signs people in shows no pages"},
	{"jiragate/gateway/admin/signin", "jiragate/gateway/admin/public", "whoever signs people in shows no pages"},
	{"jiragate/gateway/admin/signin", "jiragate/tokenstore/bolt", "whoever signs people in doesn't know how anything is stored"},
	{"jiragate/gateway/admin/signin", "jiragate/internal/cli", "the product doesn't depend on its commands"},
	{"jiragate/gateway/admin", "jiragate/gateway/admin/signin", "the API is told who asks"},
	{"jiragate/gateway/admin/public", "jiragate/gateway", "the public page knows no calls"},
	{"jiragate/gateway/admin/public", "jiragate/gateway/admin", "the public page is no part of the administration"},
	{"jiragate/gateway/admin/public", "jiragate/gateway/admin/signin", "the public page knows nobody"},
	{"jiragate/gateway/admin/public", "jiragate/gateway/audit", "the public page is given a checkpoint, not the log"},
	{"jiragate/gateway/admin/public", "jiragate/gateway/audit/signer", "the public page has no signing key"},
	{"jiragate/gateway/admin/public", "jiragate/gateway/egress", "what is published comes from the register, not from a configuration"},
	{"jiragate/gateway/admin/public", "jiragate/tokenstore", "the public page names no customer"},
	{"jiragate/gateway/admin/public", "jiragate/tokenstore/...", "the public page names no customer"},
	{"jiragate/gateway/admin/reporting", "jiragate/tokenstore", "reports are made of files; whoever asks tells of connections"},
	{"jiragate/gateway/admin/reporting", "jiragate/gateway/audit/signer", "reports are signed by whoever asks for them"},
	{"jiragate/gateway/admin/reporting", "jiragate/gateway/admin", "what a report is made of doesn't depend on who asks"},
	{"jiragate/gateway/admin/reporting", "net/http", "reports are made, not served"},
	{"jiragate/gateway/notify", "jiragate/gateway", "webhooks don't know how calls are proxied"},
	{"jiragate/gateway/notify", "jiragate/gateway/admin", "webhooks don't know who changed a state"},
	{"jiragate/gateway/notify", "go.etcd.io/bbolt", "webhooks don't know which backend remembers them"},
	{"jiragate/tokenstore", "jiragate/gateway/...", "the store knows no calls"},
	{"jiragate/tokenstore", "net/http", "the store knows no HTTP"},
	{"jiragate/tokenstore/bolt", "jiragate/gateway/...", "the store knows no calls"},
	{"jiragate/tokenstore/bolt", "jiragate/tokenstore/oauth", "the backend doesn't know what tokens are for"},
	{"jiragate/tokenstore/records", "go.etcd.io/...", "the rules of records don't know what keeps them"},
	{"jiragate/tokenstore/records", "jiragate/tokenstore/bolt", "the rules of records don't know what keeps them"},
	{"jiragate/tokenstore/records", "jiragate/tokenstore/etcd", "the rules of records don't know what keeps them"},
	{"jiragate/tokenstore/records", "jiragate/gateway/...", "the store knows no calls"},
	{"jiragate/tokenstore/records", "jiragate/tokenstore/oauth", "records don't know what tokens are for"},
	{"jiragate/gateway/audit/published", "jiragate/tokenstore/...", "what was published doesn't know where"},
	{"jiragate/gateway/audit/published", "go.etcd.io/...", "what was published doesn't know where"},
	{"jiragate/gateway/audit/offsite", "jiragate/tokenstore/etcd", "checkpoints don't know what the store is"},
	{"jiragate/gateway/audit/offsite", "go.etcd.io/...", "checkpoints don't know what the store is"},
	{"jiragate/gateway/admin", "jiragate/tokenstore/etcd", "the API doesn't know how anything is stored"},
	{"jiragate/tokenstore/etcd", "jiragate/tokenstore/bolt", "no backend knows another one"},
	{"jiragate/tokenstore/etcd", "jiragate/gateway/...", "the store knows no calls"},
	{"jiragate/tokenstore/etcd", "jiragate/tokenstore/oauth", "the backend doesn't know what tokens are for"},
	{"jiragate/tokenstore/migration", "jiragate/tokenstore/bolt", "a store is moved whatever keeps it"},
	{"jiragate/tokenstore/migration", "jiragate/tokenstore/etcd", "a store is moved whatever keeps it"},
	{"jiragate/tokenstore/migration", "jiragate/gateway/...", "the store knows no calls"},
	{"jiragate/tokenstore/bolt", "jiragate/tokenstore/migration", "a backend doesn't know who moves it"},
	{"jiragate/tokenstore/etcd", "jiragate/tokenstore/migration", "a backend doesn't know who moves it"},
	{"jiragate/tokenstore/bolt", "jiragate/tokenstore/etcd", "no backend knows another one"},
	{"jiragate/gateway", "jiragate/tokenstore/migration", "the gateway doesn't know how anything is stored"},
	{"jiragate/gateway", "jiragate/tokenstore/etcd", "the gateway doesn't know how anything is stored"},
	{"jiragate/gateway", "jiragate/tokenstore/records", "the gateway doesn't know how anything is stored"},
	{"jiragate/tokenstore/oauth", "go.etcd.io/bbolt", "the token lifecycle doesn't know which backend stores it"},
	{"jiragate/tokenstore/oauth", "jiragate/gateway/...", "the token lifecycle knows no calls"},
	{"jiragate/tokenstore/applink", "jiragate/gateway/...", "application links know no calls"},
	{"jiragate/tokenstore/applink", "jiragate/tokenstore", "application links know no connections"},
	{"jiragate/tokenstore/keyset", "jiragate/gateway/...", "the keyset knows nothing of what it seals"},
	{"jiragate/internal/cli", "jiragate/internal/jirasim", "serve carries no simulator"},
	{"jiragate/gateway/egress/register", "jiragate/gateway/...", "the register knows addresses and dates only"},
	{"jiragate/gateway/egress/register", "jiragate/tokenstore", "the register knows addresses and dates only"},
	{"jiragate/gateway/egress/register", "jiragate/policy", "the register knows addresses and dates only"},
	{"jiragate/gateway/egress/echo", "jiragate/...", "who verifies the egress shares nothing with it"},
	{"jiragate/gateway/egress/publication", "jiragate/gateway/egress", "what is published comes from the register, not from a configuration"},
	{"jiragate/gateway/egress/publication", "jiragate/tokenstore", "what is published names no customer"},
	{"jiragate/gateway/egress/publication", "net/http", "documents are written, not served"},
	{"jiragate/gateway/pace", "jiragate/...", "pacing knows ids and header fields only"},
	{"jiragate/gateway/downstream", "jiragate/...", "who serves HTTP/2 knows no calls, no clients and no records"},
	{"jiragate/gateway/upstream", "jiragate/...", "who speaks HTTP to a server knows no calls, no connections and no credentials"},
	{"jiragate/gateway/limit", "jiragate/...", "limits know no calls"},
	{"jiragate/gateway/limit", "net/http", "limits know no HTTP"},
	{"jiragate/gateway/diagnosis", "jiragate/...", "what Jira says is read from its answer alone"},
	{"jiragate/gateway/audit/report", "net/http", "reports are written, not served"},
	{"jiragate/gateway/audit/report", "jiragate/tokenstore", "reports are made of records, not of the store"},
	{"jiragate/gateway/audit/report", "jiragate/gateway/egress/register", "which addresses were published is told to reports"},
	{"jiragate/gateway/audit/report", "jiragate/gateway/audit/signer", "reports are signed by whoever asks for them"},
	{"jiragate/gateway/audit/activity", "jiragate/gateway", "counts of records know no calls"},
	{"jiragate/gateway/audit/activity", "jiragate/gateway/admin/...", "counts of records don't know who asks for them"},
	{"jiragate/gateway/audit/activity", "jiragate/policy", "counts of records know no policy rules"},
	{"jiragate/gateway/audit/activity", "jiragate/tokenstore", "counts are of records, not of the store"},
	{"jiragate/gateway/audit/activity", "net/http", "counts know no HTTP"},
	{"jiragate/gateway/audit/activity", "go.opentelemetry.io/otel/...", "counts are for pages; metrics are measured where calls are made"},
	{"jiragate/gateway/audit/fleet", "jiragate/gateway/audit/signer", "logs are read together without any key"},
	{"jiragate/gateway/audit/fleet", "jiragate/gateway/audit/index", "who reads logs together is told how each is asked"},
	{"jiragate/gateway/audit/fleet", "jiragate/policy", "the logs know no policy rules"},
	{"jiragate/gateway/audit/fleet", "jiragate/tokenstore", "the logs hold no credentials"},
	{"jiragate/gateway/audit/fleet", "net/http", "the logs know no HTTP"},
	{"jiragate/gateway/audit/index", "jiragate/policy", "the index knows no policy rules"},
	{"jiragate/gateway/audit/index", "net/http", "the index knows no HTTP"},
	{"jiragate/gateway/audit/index", "jiragate/tokenstore", "the index holds no credentials"},
	{"jiragate/gateway/audit/signer", "jiragate/tokenstore", "the signing key holds no credentials"},
	{"jiragate/gateway/audit/signer", "net/http", "the signing key knows no HTTP"},
	{"jiragate/gateway/audit/checkpoint", "jiragate/...", "who checks the log shares nothing with who writes it"},
	{"jiragate/gateway/audit/checkpoint", "net/http", "what is checked offline calls nobody"},
	{"jiragate/gateway/audit/privacy", "jiragate/policy", "which parts of a path are identifiers the masker is told"},
	{"jiragate/gateway/audit/privacy", "jiragate/tokenstore", "the key of pseudonyms holds no credentials"},
	{"jiragate/gateway/audit/privacy", "net/http", "the masker knows no HTTP"},
	{"jiragate", "jiragate/internal/browser", "the program carries no browser"},
	{"jiragate", "github.com/chromedp/...", "the program carries no browser"},
	{"jiragate", "jiragate/internal/mutation", "the program carries no faults"},
	{"jiragate", "golang.org/x/tools/...", "the program reads no Go"},
	{"jiragate", "jiragate/internal/etcdlab", "the program carries no cluster"},
	{"jiragate", "go.etcd.io/etcd/server/...", "the program is a client of etcd"},
	{"jiragate/internal/etcdlab", "jiragate/gateway/...", "a cluster doesn't know what is stored in it"},
	{"jiragate/internal/etcdlab", "jiragate/tokenstore/...", "a cluster doesn't know what is stored in it"},
	{"jiragate/internal/etcdlab", "go.etcd.io/etcd/server/...", "the server is a program of its own"},
	{"jiragate/internal/mutation", "jiragate/...", "who makes mutants knows nothing of what is changed"},
	{"jiragate/internal/browser", "jiragate/...", "a browser doesn't know whose pages it shows"},
	{"jiragate/internal/shards", "jiragate/...", "a map doesn't know what is in it"},
	{"jiragate/internal/handover", "jiragate/...", "how processes hand over doesn't know what"},
	{"jiragate/internal/harden", "jiragate/...", "what protects the whole memory doesn't know what is in it"},
	{"jiragate/internal/privatefile", "jiragate/...", "who opens files doesn't know what is in them"},
	{"jiragate/internal/netlab", "jiragate/...", "hosts of a test that share code with the gateway prove nothing"},
	{"jiragate/internal/jirasim", "jiragate/...", "a simulator that shares code with the gateway proves nothing"},
}

func TestDependenciesPointOneWay(t *testing.T) {
	known := map[string]bool{}
	for _, p := range packages(t) {
		known[p.ImportPath] = true
		for _, f := range forbidden {
			if f.pkg != p.ImportPath {
				continue
			}
			for _, dep := range p.Deps {
				prefix, whole := strings.CutSuffix(f.dep, "...")
				if dep == f.dep || whole && strings.HasPrefix(dep, prefix) {
					t.Errorf("%s depends on %s: %s", p.ImportPath, dep, f.why)
				}
			}
		}
	}
	for _, f := range forbidden {
		if !known[f.pkg] {
			t.Errorf("the rule for %s is about no package", f.pkg)
		}
	}
}

// Of the API, whoever signs people in knows roles and how acts are put on record. What
// those two depend on themselves, it has no use for.
func TestSignInKnowsNoConnections(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{join .Imports \" \"}}", "./gateway/admin/signin").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"jiragate/certs/baseline", "jiragate/gateway/admin", "jiragate/gateway/admin/act", "jiragate/gateway/audit", "jiragate/tokenstore/secret"}
	for _, dep := range strings.Fields(string(out)) {
		if strings.HasPrefix(dep, "jiragate/") && !slices.Contains(allowed, dep) {
			t.Errorf("gateway/admin/signin imports %s", dep)
		}
	}
}

// The simulator serves the demo and the tests. No other command can reach it.
func TestOnlyTheDemoImportsTheSimulator(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains(strings.Fields(imports), "jiragate/internal/jirasim") && pkg != "jiragate/internal/demo" {
			t.Errorf("%s imports the simulator", pkg)
		}
	}
}

// The cluster of the tests is for tests, and for tools beside the product.
func TestOnlyTestsAndToolsImportTheCluster(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		tool := strings.HasPrefix(pkg, "jiragate/internal/") && pkg != "jiragate/internal/cli"
		if slices.Contains(strings.Fields(imports), "jiragate/internal/etcdlab") && !tool {
			t.Errorf("%s imports the cluster of the tests", pkg)
		}
	}
}

// Whatever the product speaks TLS to or is a TLS server for, it keeps to the baseline.
// The rest of what is linked into it, clients of key services, has its own.
func TestTLSKeepsToTheBaseline(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		simulated := strings.Contains(path, "testdata/") || strings.HasPrefix(path, "deploy/") ||
			strings.HasPrefix(path, "internal/") && !strings.HasPrefix(path, "internal/cli/")
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || simulated {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if text := string(b); strings.Count(text, "&tls.Config{") != strings.Count(text, "baseline.TLS(&tls.Config{") {
			t.Errorf("%s has a tls.Config that is not given to baseline.TLS", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoInit(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s has an init function", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
