package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parsers lists what reads bytes that the program did not make itself, by whom they are
// from, with the fuzz targets of each. A page for readers is made of it: SECURITY.md,
// "Parsers and their fuzz targets".
//
// What a library alone reads, and this repository adds nothing to, isn't here: TLS,
// HTTP/2 to Jira, ID tokens, SQLite, bbolt, etcd's protocol, OTEL_*.
var parsers = []struct {
	from    string // whose bytes they are
	pkg     string
	reads   string
	targets string // separated by spaces
}{
	{"clients", "gateway", "HTTP/1.1: head, framing, bodies", "FuzzHTTP1 FuzzFraming"},
	{"clients", "gateway", "targets of requests and of CONNECT", "FuzzParseTarget FuzzParseAuthority"},
	{"clients", "gateway", "Proxy-Authorization", "FuzzIdentify"},
	{"clients", "gateway", "names in client certificates", "FuzzIdentifyByCertificate"},
	{"clients", "gateway/downstream", "HTTP/2 inside tunnels", "FuzzServer"},
	{"clients", "policy", "method, path and query", "FuzzDecide"},
	{"clients", "policy", "JSON bodies, and identifiers in paths", "FuzzDecideBody FuzzMapIdentifiers"},

	{"Jira", "gateway/upstream", "answers by HTTP/1.1", "FuzzReadResponse FuzzAnswer"},
	{"Jira", "gateway/pace", "rate limits in header fields", "FuzzReadSignal"},
	{"Jira", "gateway/diagnosis", "refusals: JSON, HTML, header fields", "FuzzOf FuzzRepeatedValuesChangeNothing"},

	{"authorization servers", "tokenstore/oauth", "answers of the token endpoint", "FuzzAnswer FuzzTakeLifetime FuzzParseRetryAfter"},
	{"authorization servers", "tokenstore/oauth", "the list of sites", "FuzzSites"},
	{"authorization servers", "tokenstore/applink", "answers of OAuth 1.0a, and the problems in them", "FuzzAnswers FuzzProblem"},
	{"authorization servers", "gateway/admin/signin", "claims of people who sign in", "FuzzIdentity"},

	{"proxies", "gateway/egress", "answers to CONNECT and of SOCKS5", "FuzzConnectAnswer FuzzSOCKSAnswer"},
	{"name servers", "gateway/egress", "addresses of a host, and whether they may be dialled", "FuzzResolve FuzzClassify FuzzJudge"},
	{"echo services", "gateway/egress/echo", "what address they saw", "FuzzParse"},
	{"the product", "gateway/notify", "Retry-After of webhooks", "FuzzParseRetryAfter"},

	{"browsers and users of the API", "gateway/admin", "JSON bodies", "FuzzDecode"},
	{"browsers and users of the API", "gateway/admin", "query parameters, names of records", "FuzzParams FuzzRefersTo"},
	{"browsers and users of the API", "gateway/admin", "Host and Authorization", "FuzzHost FuzzBearer"},
	{"browsers and users of the API", "gateway/admin/consent", "links, callbacks and pages of consents", "FuzzInvitation FuzzAnswer FuzzShown"},
	{"browsers and users of the API", "gateway/admin/signin", "where to go after signing in", "FuzzDestination"},

	{"operators", "internal/cli", "the environment", "FuzzParseConfig"},
	{"operators", "internal/cli", "token files and lists of issues", "FuzzOAuthToken FuzzIssueList"},
	{"operators", "internal/cli", "CA files", "FuzzCertificates"},
	{"operators", "gateway/egress", "egress addresses, proxies", "FuzzParseAddresses"},
	{"operators", "gateway/egress/echo", "which echo services to ask", "FuzzParseServices"},
	{"operators", "gateway/audit/offsite", "places for checkpoints", "FuzzParsePlaces"},
	{"operators", "gateway/audit", "times in questions", "FuzzParseTime"},
	{"operators", "gateway/notify", "secrets of webhooks", "FuzzCheck"},
	{"operators", "policy", "policy files", "FuzzRules"},
	{"operators", "tokenstore", "base URLs, credentials", "FuzzBaseURL FuzzCredentialsFitAHeader"},
	{"operators", "tokenstore", "names in certificates of clients, CAs of a Jira", "FuzzCertificateSAN FuzzUpstreamCA"},
	{"operators", "tokenstore/applink", "private keys of application links", "FuzzKey"},
	{"operators", "tokenstore/keyset", "key URIs", "FuzzServiceURI"},
	{"operators", "certs", "a CA to import", "FuzzImport"},

	{"disk", "certs", "ca.pem, ca-key.pem, ca-next-key.pem", "FuzzOpen FuzzKeyFile"},
	{"disk", "tokenstore/keyset", "the keyset", "FuzzFile"},
	{"disk", "tokenstore/bolt", "pages of the store", "FuzzDamage"},
	{"disk", "policy", "policies that were in force", "FuzzFromArchive"},
	{"disk", "gateway/egress/register", "the register of egress addresses", "FuzzParse"},
	{"disk", "gateway/audit", "call records", "FuzzDecode FuzzReadEnd FuzzVerify"},
	{"disk", "gateway/audit", "intents, compressed segments, trees, names of files", "FuzzReadJournal FuzzCompressed FuzzReadTree FuzzNames"},
	{"disk", "gateway/audit/checkpoint", "checkpoints, keys, successions and proofs", "FuzzParse FuzzOpen FuzzReadTrust FuzzLearn FuzzParseProof"},
	{"disk", "gateway/audit/index", "blocks of the index", "FuzzBlobs"},
	{"disk", "gateway/audit/offsite", "checkpoints kept elsewhere", "FuzzCheckpoint"},
	{"disk", "gateway/audit/privacy", "keys of pseudonyms", "FuzzParse"},
	{"disk", "gateway/audit/report", "reports that were signed", "FuzzOpen"},
	{"disk", "gateway/audit/signer", "signing keys, and what they have signed", "FuzzParse FuzzVerify"},

	{"the store", "tokenstore/records", "records, of a file or of etcd", "FuzzDecodeConnection FuzzDecodeClient FuzzDecodeCredential FuzzDecodeOtherRecords"},
	{"the store", "tokenstore/etcd", "checkpoints that gateways publish", "FuzzPublished"},
	{"the store", "tokenstore/etcd", "pauses that gateways share", "FuzzPause"},
	{"the store", "gateway/pace", "what a pause is about", "FuzzPauseName"},

	{"other processes and the system", "internal/handover", "messages between a gateway and its successor", "FuzzReceive"},
	{"other processes and the system", "gateway", "where a connection comes from that is taken over", "FuzzProvenance"},
	{"other processes and the system", "internal/cli", "/proc, cgroups, passwd", "FuzzCgroupMemory FuzzLoginName"},

	{"whatever is printed", "gateway/telemetry", "text of others in lines of the log", "FuzzEscapeControls"},
}

// testsOnly are packages that no release holds, whose targets no table has.
var testsOnly = []string{"internal/jirasim", "internal/netlab"}

// Bounds of what is kept of each target in testdata/fuzz, so that a checkout stays small
// and `go test` quick.
const (
	mostInputs   = 30
	longestInput = 2 << 10 // bytes
	mostKept     = 1 << 20 // bytes of all targets together
)

// fuzzTargets gives the targets of each package, by its directory, and those of them that
// have seeds in code, as "DIRECTORY.TARGET".
func fuzzTargets(t *testing.T) (all map[string][]string, seeded map[string]bool) {
	t.Helper()
	all, seeded = map[string][]string{}, map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || path == "deploy"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		for name := range testsOf(file) {
			if strings.HasPrefix(name, "Fuzz") {
				all[dir] = append(all[dir], name)
			}
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fuzz") && callsAdd(f) {
				seeded[dir+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, seeded
}

// callsAdd reports whether f.Add is called in a target.
func callsAdd(target *ast.FuncDecl) (calls bool) {
	ast.Inspect(target, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
			x, ok := s.X.(*ast.Ident)
			calls = calls || ok && x.Name == "f"
		}
		return true
	})
	return calls
}

// Each target that the table names is there, and each that is there is named, once.
func TestParsersHaveFuzzTargets(t *testing.T) {
	there, _ := fuzzTargets(t)
	named := map[string][]string{}
	for _, p := range parsers {
		for target := range strings.FieldsSeq(p.targets) {
			if !slices.Contains(there[p.pkg], target) {
				t.Errorf("%s of %s is fuzzed by %s, which isn't there", p.reads, p.pkg, target)
			}
			if slices.Contains(named[p.pkg], target) {
				t.Errorf("%s of %s is in the table twice", target, p.pkg)
			}
			named[p.pkg] = append(named[p.pkg], target)
		}
	}
	for pkg, targets := range there {
		for _, target := range targets {
			if !slices.Contains(named[pkg], target) && !slices.Contains(testsOnly, pkg) {
				t.Errorf("%s of %s is missing in the table of parsers: say what it reads, and whose bytes those are", target, pkg)
			}
		}
	}
}

// Each target has seeds in code, and beside them what `make corpora` has kept, which may be
// nothing where the seeds reach everything: few inputs, and small ones. None is kept of a
// target that is gone.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	total := int64(0)
	there, seeded := fuzzTargets(t)
	for pkg, targets := range there {
		root := filepath.Join(pkg, "testdata", "fuzz")
		for _, target := range targets {
			inputs, err := os.ReadDir(filepath.Join(root, target))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if len(inputs) > mostInputs {
				t.Errorf("%s of %s keeps %d inputs in testdata/fuzz, where there may be %d", target, pkg, len(inputs), mostInputs)
			}
			if !seeded[pkg+"."+target] {
				t.Errorf("%s of %s begins with nothing: give it seeds by f.Add", target, pkg)
			}
			for _, input := range inputs {
				info, err := input.Info()
				if err != nil {
					t.Fatal(err)
				}
				if total += info.Size(); info.Size() > longestInput {
					t.Errorf("the input %s of %s in %s has %d bytes: at most %d are kept", input.Name(), target, pkg, info.Size(), longestInput)
				}
			}
		}
		kept, err := os.ReadDir(root)
		if err != nil {
			continue // none is kept
		}
		for _, dir := range kept {
			if !slices.Contains(targets, dir.Name()) {
				t.Errorf("%s keeps inputs of %s, which is no target", root, dir.Name())
			}
		}
	}
	if total > mostKept {
		t.Errorf("%d bytes of inputs are kept, where there may be %d", total, mostKept)
	}
}

// SECURITY.md has the same table.
func TestParsersAreInSecurityPage(t *testing.T) {
	var want strings.Builder
	want.WriteString("| bytes of | what is read | package | fuzz targets |\n| --- | --- | --- | --- |\n")
	for _, p := range parsers {
		fmt.Fprintf(&want, "| %s | %s | `%s` | `%s` |\n", p.from, p.reads, p.pkg, strings.Join(strings.Fields(p.targets), "`, `"))
	}
	if !strings.Contains(documents(t)["SECURITY.md"], want.String()) {
		t.Errorf("SECURITY.md has another table of parsers; this is the one of fuzz_test.go:\n%s", want.String())
	}
}
