package replay_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"jiragate/policy"
	"jiragate/policy/replay"
)

// Clients choose nothing that a group is made of but names that they were given;
// a log that was made up must not fill the memory all the same.
func TestGroupsAreBounded(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	const calls = 10_007
	for n := range uint64(calls) {
		c := call(n+1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")
		c.Client = fmt.Sprintf("client-%d", n)
		r.Add(c)
	}
	known := call(calls+1, "acme", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1")
	known.Client = "client-3"
	r.Add(known)
	report := r.Report()
	if first := report.Groups[0]; first.Client != "client-3" || first.Calls != 2 {
		t.Errorf("another call of a group is not counted there: the largest is %+v", first)
	}
	if len(report.Groups) != 10_000 || report.Ungrouped != calls-10_000 || report.Refused != calls+1 {
		t.Errorf("%d groups, %d calls in none, %d refused", len(report.Groups), report.Ungrouped, report.Refused)
	}
}

// What is remembered of a call is what would be decided about it.
func TestRemembersNothingWrong(t *testing.T) {
	p := mustPolicy(t, tightened+"  - {name: no-types, connections: [globex], deny: [issuetype.list]}\n")
	r := replay.New(p)
	want := map[policy.Verdict]uint64{}
	seq := uint64(0)
	for round := range 2 {
		for n := range 5000 { // more than are remembered
			c := call(0, []string{"acme", "globex"}[n%2], "GET", "project.get", fmt.Sprintf("/rest/api/3/project/%s%d", []string{"ACME", "OPS"}[round], n), "expand")
			if n%3 == 0 {
				c.Path = "/rest/api/3/project/ACME"
			}
			if n%5 == 0 {
				c = refused(c, policy.CodeProjectNotAllowed)
			}
			if n%7 == 0 {
				c.QueryNames = append(c.QueryNames, "properties")
			}
			seq++
			c.Seq = seq
			r.Add(c)
			want[p.Reconsider(c.Recorded).Verdict]++
		}
	}
	got := r.Report()
	if got.Same != want[policy.VerdictSame] || got.Refused != want[policy.VerdictRefused] || got.Allowed != want[policy.VerdictAllowed] || got.Undecidable != want[policy.VerdictUndecidable] {
		t.Errorf("got %+v\nwant %v", got, want)
	}
	if got.Same == 0 || got.Refused == 0 || got.Allowed == 0 || got.Undecidable == 0 {
		t.Errorf("the calls are too alike: %v", want)
	}
}

// A shape holds six names of a query. Calls with more, which differ in the last alone,
// are not taken for each other.
func TestManyQueryNames(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	names := []string{"query", "username", "accountId", "startAt", "maxResults", "actionDescriptorId", "recommend"}
	for range 2 {
		for i, last := range []string{"recommend", "project"} {
			names[6] = last
			r.Add(call(uint64(i), "acme", "GET", "user.assignable", "/rest/api/3/user/assignable/search", names...))
		}
	}
	// Without a project the limit refuses; with one it depends on its value.
	if got := r.Report(); got.Refused != 2 || got.Undecidable != 2 {
		t.Errorf("%d refused, %d undecidable, want two of each", got.Refused, got.Undecidable)
	}
}

// Calls repeat themselves, and a log has millions. What is like a call before, and has a
// query or may have a body, is counted without being decided anew.
func TestRepeatedCallsCostNoMemory(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	calls := []replay.Call{
		call(1, "acme", "POST", "issue.create", "/rest/api/3/issue"),
		call(2, "acme", "GET", "project.get", "/rest/api/3/project/ACME", "expand"),
		call(3, "acme", "GET", "user.assignable", "/rest/api/3/user/assignable/search", "query", "username", "accountId", "startAt", "maxResults", "project"),
	}
	all := func() {
		for _, c := range calls {
			r.Add(c)
		}
	}
	all()
	if n := testing.AllocsPerRun(100, all); n != 0 {
		t.Errorf("%v allocations for calls that were decided before", n)
	}
}

// growth is by how many bytes more are in use after f.
func growth(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// However many different calls there are, only so many are remembered.
func TestMemoryIsBounded(t *testing.T) {
	r := replay.New(mustPolicy(t, tightened))
	const calls, length = 10_000, 1024
	used := growth(func() {
		for n := range calls {
			path := fmt.Sprintf("/rest/api/3/project/%0*d", length, n)
			r.Add(call(1, "free", "GET", "project.get", path, "expand"))
		}
	})
	if used > calls*length {
		t.Errorf("%d bytes are in use after %d calls with paths of %d bytes", used, calls, length)
	}
	runtime.KeepAlive(r)
}

// inOneLine is c with all its texts as parts of one long line.
func inOneLine(c replay.Call) replay.Call {
	texts := []*string{&c.ID, (*string)(&c.Edition), &c.Method, &c.Operation, &c.Path, &c.Client, &c.Connection, &c.PolicySHA256, (*string)(&c.Code)}
	for i := range c.QueryNames {
		texts = append(texts, &c.QueryNames[i])
	}
	var line strings.Builder
	for _, text := range texts {
		line.WriteString(*text)
	}
	line.WriteString(strings.Repeat(" ", 1<<20))
	rest := line.String()
	for _, text := range texts {
		*text, rest = rest[:len(*text)], rest[len(*text):]
	}
	return c
}

// The texts of a record are parts of its line, which may be long. What is kept of a call
// must not keep the line.
func TestKeepsOfARecordOnlyCopies(t *testing.T) {
	for name, nth := range map[string]func(n uint64) replay.Call{
		"an example of a group": func(n uint64) replay.Call {
			c := refused(call(n, "globex", "DELETE", "issue.delete", "/rest/api/3/issue/ACME-1"), policy.CodeProjectNotAllowed)
			c.Client = fmt.Sprintf("client-%d", n)
			return c
		},
		"an allowed call that is remembered": func(n uint64) replay.Call {
			return call(n, "acme", "GET", "project.get", fmt.Sprintf("/rest/api/3/project/ACME%d", n), "expand", "properties")
		},
		"a refused call that is remembered": func(n uint64) replay.Call {
			return refused(call(n, "globex", "POST", "issue.create", fmt.Sprintf("/rest/api/3/issue?%d", n)), policy.CodeQueryMalformed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := replay.New(mustPolicy(t, tightened))
			const calls = 32
			used := growth(func() {
				for n := range uint64(calls) {
					r.Add(inOneLine(nth(n)))
				}
			})
			if used > calls<<20/2 {
				t.Errorf("%d bytes are in use after %d calls of a megabyte each", used, calls)
			}
			runtime.KeepAlive(r)
		})
	}
}
