package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// operator does, by the program's own commands, what operators do while calls go on,
// and looks at once whether it took effect.
type operator struct {
	*load
	caller *caller
	turn   int
	serial int
	narrow bool // the policy in force
	acts   map[string]int
}

// act does the next of all acts.
func (o *operator) act(ctx context.Context, _ *rand.Rand) {
	acts := []struct {
		name string
		do   func(context.Context) error
	}{
		{"policy reload", o.reload},
		{"grant and revoke", o.lend},
		{"connection add and remove", o.guest},
		{"connection test", o.test},
		{"audit query", o.command("audit", "query", "--limit", "20", "--output", "json")},
		{"pages", o.pages},
		{"key rotate", o.command("key", "rotate")},
		{"key rewrap", o.command("key", "rewrap", "--drop-old-keys")},
		{"report", o.report},
		{"status", o.command("connection", "list", "--output", "json")},
	}
	a := acts[o.turn%len(acts)]
	o.turn++
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.do(ctx); err != nil {
		o.ledger.violation("operator: %s: %v", a.name, err)
		return
	}
	o.acts[a.name]++
}

func (o *operator) command(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := o.run(ctx, "", args...)
		return err
	}
}

// call makes a call that any of the outcomes may come of, and returns which.
func (o *operator) call(ctx context.Context, connection, path string) outcome {
	to := *o.target("dc-calm")
	to.connection = connection
	id, traceparent := o.ledger.begin(false)
	got, _ := o.caller.send(ctx, request{to: &to, method: "GET", path: path}, traceparent)
	o.ledger.end(id, "operator", got)
	return got
}

// expect makes a call that must come out so.
func (o *operator) expect(ctx context.Context, connection string, status int, code string) error {
	if got := o.call(ctx, connection, "/priority"); got.status != status || got.code != code {
		return fmt.Errorf("a call of %s: %v, want %d %s", connection, got, status, code)
	}
	return nil
}

// reload narrows the policy, or widens it again. A signal has no answer, so the
// operator asks until it is in force.
func (o *operator) reload(ctx context.Context) error {
	o.narrow = !o.narrow
	if err := os.WriteFile(o.policy, []byte(policyText(o.narrow)), 0o600); err != nil {
		return err
	}
	if err := o.process.command.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	for want := map[bool]int{true: 403, false: 200}[o.narrow]; ; {
		switch got := o.call(ctx, "dc-calm", "/priority"); {
		case got.status == want:
			if o.narrow { // the other acts need it wide
				return o.reload(ctx)
			}
			return nil
		case ctx.Err() != nil, got.status != 200 && got.status != 403:
			return fmt.Errorf("the policy's rule for this client is %t, and a call gets %v", o.narrow, got)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lend gives a connection and takes it away again.
func (o *operator) lend(ctx context.Context) error {
	if _, err := o.run(ctx, "", "client", "grant", "operator", "dc-lent"); err != nil {
		return err
	}
	if err := o.expect(ctx, "dc-lent", 200, ""); err != nil {
		return err
	}
	if _, err := o.run(ctx, "", "client", "revoke", "operator", "dc-lent"); err != nil {
		return err
	}
	return o.expect(ctx, "dc-lent", 403, "not_granted")
}

// guest adds a connection, uses it and removes it.
func (o *operator) guest(ctx context.Context) error {
	o.serial++
	id := fmt.Sprintf("guest-%d", o.serial)
	if _, err := o.run(ctx, "", "connection", "add", id, "--edition", "datacenter", "--base-url", o.calm.DataCenterURL(),
		"--auth", "basic", "--username", "jira-bot", "--secret-file", o.password, "--upstream-ca-file", o.calmCA); err != nil {
		return err
	}
	if _, err := o.run(ctx, "", "client", "grant", "operator", id); err != nil {
		return err
	}
	if err := o.expect(ctx, id, 200, ""); err != nil {
		return err
	}
	if _, err := o.run(ctx, "", "connection", "remove", id); err != nil {
		return err
	}
	return o.expect(ctx, id, 403, "not_granted")
}

// test calls a connection as the gateway itself.
func (o *operator) test(ctx context.Context) error {
	_, err := o.run(ctx, "", "connection", "test", "dc-calm")
	o.ledger.unknown("connection test", 200)
	return err
}

func (o *operator) report(ctx context.Context) error {
	_, err := o.run(ctx, "", "audit", "report", "--connection", "dc-calm", "--month", time.Now().UTC().Format("2006-01"), "--format", "json")
	return err
}

// pages are what browsers and monitors ask for.
func (o *operator) pages(context.Context) error {
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/public/", "/console/"} {
		if _, err := o.get(path); err != nil {
			return err
		}
	}
	return nil
}

// needy are connections that wait for a person.
func (o *operator) needy(ctx context.Context) ([]string, error) {
	out, err := o.run(ctx, "", "connection", "list", "--output", "json")
	if err != nil {
		return nil, err
	}
	var list []struct{ ID, State, Reason string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("the list of connections: %w", err)
	}
	var needy []string
	for _, c := range list {
		if c.State != "active" {
			needy = append(needy, c.ID+" is "+c.State)
		}
	}
	if len(list) < len(o.targets) {
		needy = append(needy, fmt.Sprintf("%d of %d connections are left", len(list), len(o.targets)))
	}
	return needy, nil
}
