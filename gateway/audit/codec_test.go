package audit

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestLine pins the form of a line: auditors' scripts rely on it.
func TestLine(t *testing.T) {
	r := outcome(intent("GET"))
	r.Seq, r.ID, r.Prev = 7, "019ab0c4-5a00-7000-8000-000000000001", genesis
	want := `{"seq":7,"time":"2026-11-23T10:00:00.123456Z","id":"019ab0c4-5a00-7000-8000-000000000001",` +
		`"client":"billing","client_addr":"10.1.2.3:50000","connection":"acme","edition":"cloud","region":"us",` +
		`"method":"GET","operation":"user.assignable.search","path":"/rest/api/3/user/assignable/search",` +
		`"query_names":["project","query"],"decision":"allow","code":"",` +
		`"policy_sha256":"5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9","credential":"oauth2",` +
		`"egress_ip":"203.0.113.7","upstream_addr":"198.51.100.9:443","status":200,"bytes_in":0,"bytes_out":512,` +
		`"duration_ms":81.25,"trace_id":"0af7651916cd43dd8448eb211c80319c",` +
		`"prev":"0000000000000000000000000000000000000000000000000000000000000000"}`
	c := r.canonical()
	if got := string(appendRecord(nil, &c)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	empty := Record{}.canonical()
	want = `{"seq":0,"time":"0001-01-01T00:00:00.000000Z","id":"","client":"","client_addr":"","connection":"","edition":"",` +
		`"region":"","method":"","operation":"","path":"","query_names":[],"decision":"","code":"","policy_sha256":"",` +
		`"credential":"","egress_ip":"","upstream_addr":"","status":0,"bytes_in":0,"bytes_out":0,"duration_ms":0,"trace_id":"","prev":""}`
	if got := string(appendRecord(nil, &empty)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestHostileText: nothing that a client sends ends a line, steers a terminal,
// or reads otherwise than it is.
func TestHostileText(t *testing.T) {
	for _, row := range []struct{ name, path, want string }{
		{"forged line by LF", "/x\n{\"seq\":9}", `/x\u000a{\"seq\":9}`},
		{"CRLF", "/x\r\ny", `/x\u000d\u000ay`},
		{"NUL", "/\x00", `/\u0000`},
		{"ANSI sequence", "/\x1b[2J\x1b]0;owned\x07", `/\u001b[2J\u001b]0;owned\u0007`},
		{"DEL", "/\x7f", `/\u007f`},
		{"C1 control sequence introducer", "/\u009b2J", `/\u009b2J`},
		{"C1 as a raw byte", "/\x9b2J", `/\ufffd2J`},
		{"line and paragraph separators", "/\u2028\u2029", `/\u2028\u2029`},
		{"NEL", "/\u0085", `/\u0085`},
		{"right-to-left override", "/\u202egnp.exe", `/\u202egnp.exe`},
		{"bidi isolates", "/\u2066\u2069", `/\u2066\u2069`},
		{"Arabic letter mark", "/\u061c", `/\u061c`},
		{"zero width joiner and space", "/\u200b\u200d", `/\u200b\u200d`},
		{"byte order mark", "\ufeff/", `\ufeff/`},
		{"tag characters, outside the BMP", "/\U000e0041", `/\udb40\udc41`},
		{"overlong slash", "/\xc0\xafetc", `/\ufffdetc`},
		{"surrogate in UTF-8", "/\xed\xa0\x80", `/\ufffd`},
		{"quote and backslash", `/"\`, `/\"\\`},
		{"what looks like an escape", `/\u0041`, `/\\u0041`},
		{"letters stay letters", "/Müller/日本/🙂", "/Müller/日本/🙂"},
		{"markup is no concern of JSON", "/<b>&", "/<b>&"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := Record{Path: row.path, Decision: DecisionDeny}.canonical()
			line := appendRecord(nil, &r)
			if !bytes.Contains(line, []byte(`"path":"`+row.want+`"`)) {
				t.Errorf("got %s", line)
			}
			if got, err := decode(line); err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("read back as %+v, %v", got, err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	long := strings.Repeat("日", 2000) // three bytes each
	r := Record{
		Client: long, Path: long, QueryNames: make([]string, 5000), Status: -1, BytesIn: -5, BytesOut: math.MinInt64,
		Time: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), DurationMS: math.Inf(1),
	}
	for i := range r.QueryNames {
		r.QueryNames[i] = long
	}
	c := r.canonical()
	if want := strings.Repeat("日", 84) + "…"; c.Client != want {
		t.Errorf("client is %q", c.Client)
	}
	if want := strings.Repeat("日", 681) + "…"; c.Path != want {
		t.Errorf("path has %d bytes", len(c.Path))
	}
	if len(c.QueryNames) != 100 || c.QueryNames[99] != "…" || c.QueryNames[98] != strings.Repeat("日", 20)+"…" {
		t.Errorf("query names are %q", c.QueryNames)
	}
	if c.Status != 0 || c.BytesIn != 0 || c.BytesOut != 0 || c.DurationMS != maxDurationMS || c.Time.Year() != 9999 {
		t.Errorf("numbers are %+v", c)
	}
	if got := (Record{DurationMS: math.NaN()}).canonical().DurationMS; got != 0 {
		t.Errorf("NaN becomes %v", got)
	}
	if len(r.QueryNames[0]) != len(long) {
		t.Error("the caller's query names were changed")
	}

	worst := Record{Path: strings.Repeat("\x01", maxPath), QueryNames: make([]string, maxQueryNames)}
	for i := range worst.QueryNames {
		worst.QueryNames[i] = strings.Repeat("\x01", maxQueryName)
	}
	for _, s := range worst.texts() {
		*s = strings.Repeat("\x01", maxText)
	}
	worst.Prev = genesis
	if n := len(appendRecord(nil, &worst)); n >= maxLine {
		t.Errorf("the longest line has %d bytes, more than readers take", n)
	}
}

// anyText draws the texts that matter: plain, invalid, hidden and long ones.
func anyText(limit int) *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.StringOf(rapid.SampledFrom([]rune("\x00\n\x1b\"\\/a\u0085\u202e\u2028\ufffd\U000e0041\U0001f642…"))),
		rapid.Map(rapid.IntRange(limit-4, limit+4), func(n int) string { return strings.Repeat("é", n/2) + "xyz" }),
	)
}

func anyRecord(t *rapid.T) Record {
	r := Record{
		Seq:        rapid.Uint64().Draw(t, "seq"),
		Time:       time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")),
		Path:       anyText(maxPath).Draw(t, "path"),
		QueryNames: rapid.SliceOfN(anyText(maxQueryName), 0, maxQueryNames+3).Draw(t, "query names"),
		Status:     rapid.Int().Draw(t, "status"),
		BytesIn:    rapid.Int64().Draw(t, "bytes in"),
		BytesOut:   rapid.Int64().Draw(t, "bytes out"),
		DurationMS: rapid.Float64().Draw(t, "duration"),
		Prev:       genesis,
	}
	for _, s := range r.texts() {
		*s = anyText(maxText).Draw(t, "text")
	}
	r.Decision = rapid.SampledFrom([]string{DecisionAllow, DecisionDeny}).Draw(t, "decision")
	return r
}

// TestRoundTrip: any record has one canonical form, whose line reads back as it.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord(t).canonical()
		if again := r.canonical(); !reflect.DeepEqual(again, r) {
			t.Fatalf("canonical twice: %+v\nonce: %+v", again, r)
		}
		line := appendRecord(nil, &r)
		got, err := decode(line)
		if err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if !reflect.DeepEqual(got, r) {
			t.Fatalf("read back as %+v\nwas %+v", got, r)
		}
	})
}

// TestDecodeRefuses: one record, one spelling; each row is a line that another
// reader of JSON would take.
func TestDecodeRefuses(t *testing.T) {
	r := outcome(intent("GET")).canonical()
	r.Seq, r.Prev, r.Path = 1, genesis, "/a\nb/é"
	good := string(appendRecord(nil, &r))
	if _, err := decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, old, new string }{
		{"space after a colon", `"seq":`, `"seq": `},
		{"carriage return at the end", `"}`, "\"}\r"},
		{"something after the record", `"}`, `"}{}`},
		{"keys in another order", `"seq":1,"time":"2026-11-23T10:00:00.123456Z"`, `"time":"2026-11-23T10:00:00.123456Z","seq":1`},
		{"a key missing", `"code":"",`, ``},
		{"a key twice", `"code":"",`, `"code":"","code":"",`},
		{"an unknown key", `"code":"",`, `"code":"","note":"",`},
		{"a key in another case", `"code"`, `"Code"`},
		{"leading zero", `"seq":1`, `"seq":01`},
		{"a number as text", `"seq":1`, `"seq":"1"`},
		{"plus sign", `"status":200`, `"status":+200`},
		{"negative", `"bytes_out":512`, `"bytes_out":-512`},
		{"exponent", `"duration_ms":81.25`, `"duration_ms":8.125e1`},
		{"trailing zero", `"duration_ms":81.25`, `"duration_ms":81.250`},
		{"too many digits for seq", `"seq":1`, `"seq":18446744073709551616`},
		{"status beyond three digits", `"status":200`, `"status":2000`},
		{"null for a text", `"code":""`, `"code":null`},
		{"null for a list", `["project","query"]`, `null`},
		{"comma at the end of a list", `"query"]`, `"query",]`},
		{"time with an offset", `.123456Z`, `.123456+00:00`},
		{"time in nanoseconds", `.123456Z`, `.123456000Z`},
		{"time with a comma", `.123456Z`, `,123456Z`},
		{"time that does not exist", `2026-11-23`, `2026-11-31`},
		{"escape for a letter", `billing`, `\u0062illing`},
		{"escaped slash", `/a`, `\/a`},
		{"short escape", `\u000a`, `\n`},
		{"escape in capitals", `\u000a`, `\u000A`},
		{"raw control character", `\u000a`, "\x1b"},
		{"raw override", `é`, "\u202e"},
		{"invalid UTF-8", `é`, "\xff"},
		{"lone surrogate", `\u000a`, `\ud800`},
		{"a decision of its own", `"allow"`, `"maybe"`},
		{"text beyond its bound", `billing`, strings.Repeat("b", maxText+1)},
		{"unfinished", `"}`, ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			bad := strings.Replace(good, row.old, row.new, 1)
			if bad == good {
				t.Fatal("the row changes nothing")
			}
			if r, err := decode([]byte(bad)); err == nil {
				t.Errorf("%s was read as %+v", bad, r)
			}
		})
	}
}

// FuzzDecode: what is accepted is spelled canonically, safe to print, and means
// to encoding/json what it means to us.
func FuzzDecode(f *testing.F) {
	for _, r := range []Record{{Decision: DecisionDeny}, refusal(), outcome(intent("POST")), {Decision: DecisionAllow, Path: "/\x00\u202e\U000e0041\"\\é"}} {
		r = r.canonical()
		f.Add(appendRecord(nil, &r))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := decode(line)
		if err != nil {
			return
		}
		if again := appendRecord(nil, &r); !bytes.Equal(again, line) {
			t.Errorf("%q is also spelled %q", line, again)
		}
		if !utf8.Valid(line) {
			t.Errorf("%q is not UTF-8", line)
		}
		for _, c := range string(line) {
			if hidden(c) {
				t.Errorf("%q holds %U", line, c)
			}
		}
		var other Record
		if err := json.Unmarshal(line, &other); err != nil {
			t.Fatalf("encoding/json does not read %q: %v", line, err)
		}
		other.QueryNames = canonicalNames(other.QueryNames)
		if !reflect.DeepEqual(other, r) {
			t.Errorf("encoding/json reads %+v, we read %+v", other, r)
		}
	})
}

func TestNewID(t *testing.T) {
	last := ""
	for range 1000 {
		id := NewID()
		if len(id) != 36 || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}
