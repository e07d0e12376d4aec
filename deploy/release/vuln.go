package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// pinFolder has the module that pins the database of vulnerabilities.
const pinFolder = "deploy/vulndb"

const databaseModule = "golang.org/x/vulndb"

// accepted is a finding that does no harm, until a day.
type accepted struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Until  string `json:"until"` // YYYY-MM-DD, by the database's day
}

// finding is a vulnerability of a part. The program has the function, or only the
// package or the module around it.
type finding struct {
	id, module, version, fixed string
	function                   string // "net/http.Client.Do"; empty if the program has no vulnerable one
}

var errVulnerable = errors.New("the program has functions with known vulnerabilities")

// vulnerabilities asks govulncheck, at the version that jiragate's go.mod pins, about a
// program: by the pinned database, or with newest by the live one. A finding in
// a function of the program that is not accepted is errVulnerable.
func vulnerabilities(ctx context.Context, source, program string, newest bool, stdout io.Writer) error {
	args := []string{"tool", "govulncheck", "-mode=binary", "-format=json"}
	today := time.Now().UTC()
	if newest {
		fmt.Fprintln(stdout, "database: the live one, of this moment")
	} else {
		folder, day, err := pinnedDatabase(ctx, source)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "database: pinned, of %s; newer vulnerabilities are not seen\n", day.Format(time.DateOnly))
		today = day
		args = append(args, "-db", (&url.URL{Scheme: "file", Path: folder}).String())
	}
	absolute, err := filepath.Abs(program)
	if err != nil {
		return fmt.Errorf("check %s: %w", program, err)
	}
	out, err := goCommand(ctx, source, append(args, absolute)...)
	if err != nil {
		return err
	}
	found, err := findings(out)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(source, pinFolder, "accepted.json"))
	if err != nil {
		return fmt.Errorf("accepted findings: %w", err)
	}
	var list []accepted
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("accepted findings, accepted.json: %w", err)
	}
	return judge(found, list, today, stdout)
}

// pinnedDatabase fetches the database, and gives its folder of reports and its day.
func pinnedDatabase(ctx context.Context, source string) (string, time.Time, error) {
	out, err := goCommand(ctx, filepath.Join(source, pinFolder), "mod", "download", "-json", databaseModule)
	if err != nil {
		return "", time.Time{}, err
	}
	var m struct{ Dir, Version string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", time.Time{}, fmt.Errorf("where the database of vulnerabilities is: %w", err)
	}
	day, err := module.PseudoVersionTime(m.Version)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("the day of the database of vulnerabilities: %w", err)
	}
	return filepath.ToSlash(filepath.Join(m.Dir, "data", "osv")), day, nil
}

// goCommand runs the go command as this machine has it: nothing of what it does gets
// into a release.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), dir, err, failure.Bytes())
	}
	return out, nil
}

// findings reads what govulncheck writes
// (https://pkg.go.dev/golang.org/x/vuln/internal/govulncheck#Message). For each vulnerability
// it gives one, with a function if the program has one.
func findings(stream []byte) ([]finding, error) {
	byID := map[string]finding{}
	scanned := false
	for d := json.NewDecoder(bytes.NewReader(stream)); ; {
		var m struct {
			SBOM    *struct{} `json:"SBOM"`
			Finding *struct {
				OSV   string `json:"osv"`
				Fixed string `json:"fixed_version"`
				Trace []struct{ Module, Version, Package, Function, Receiver string }
			}
		}
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("what govulncheck writes: %w", err)
		}
		scanned = scanned || m.SBOM != nil
		if m.Finding == nil || len(m.Finding.Trace) == 0 {
			continue
		}
		at := m.Finding.Trace[0]
		f := finding{id: m.Finding.OSV, module: at.Module, version: at.Version, fixed: m.Finding.Fixed}
		if at.Function != "" {
			f.function = at.Package + "."
			if at.Receiver != "" {
				f.function += strings.TrimPrefix(at.Receiver, "*") + "."
			}
			f.function += at.Function
		}
		if old, ok := byID[f.id]; !ok || old.function == "" {
			byID[f.id] = f
		}
	}
	if !scanned {
		return nil, errors.New("govulncheck wrote nothing of what it looked at: is the file a Go program?")
	}
	var list []finding
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		list = append(list, byID[id])
	}
	return list, nil
}

// judge tells of each finding, and says whether the program may be released.
func judge(found []finding, list []accepted, today time.Time, stdout io.Writer) error {
	reasons := map[string]accepted{}
	for _, a := range list {
		if a.ID == "" || a.Reason == "" {
			return fmt.Errorf("accepted.json: %q has no id or no reason", a.ID)
		}
		if _, err := time.Parse(time.DateOnly, a.Until); err != nil {
			return fmt.Errorf("accepted.json: %s: until: %w", a.ID, err)
		}
		reasons[a.ID] = a
	}
	var bad []string
	for _, f := range found {
		fix := "fixed in " + f.fixed
		if f.fixed == "" {
			fix = "not fixed yet"
		}
		part := fmt.Sprintf("%s  %s %s, %s", f.id, f.module, f.version, fix)
		if f.function == "" {
			fmt.Fprintln(stdout, part+": the program has no vulnerable function of it")
			continue
		}
		a, ok := reasons[f.id]
		delete(reasons, f.id)
		if ok && today.Format(time.DateOnly) <= a.Until {
			fmt.Fprintf(stdout, "%s: %s; accepted until %s: %s\n", part, f.function, a.Until, a.Reason)
			continue
		}
		fmt.Fprintf(stdout, "%s: %s\n", part, f.function)
		bad = append(bad, f.id)
	}
	for id := range reasons {
		return fmt.Errorf("accepted.json: %s is not found any more: remove it", id)
	}
	if len(bad) > 0 {
		return fmt.Errorf("%w: %s. Upgrade the module, or toolchain in go.mod for Go's own", errVulnerable, strings.Join(bad, ", "))
	}
	fmt.Fprintln(stdout, "no function of the program has a known vulnerability that was not accepted")
	return nil
}
