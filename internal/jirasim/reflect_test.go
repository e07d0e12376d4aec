package jirasim_test

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"jiragate/internal/jirasim"
)

func gunzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestGzipForThoseWhoAsk(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	for ask, want := range map[string]string{"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.000": "", "": "", "identity": ""} {
		a := call(t, client, "GET", priorities(sim), "", bot, header("Accept-Encoding", ask))
		if got := a.header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", ask, got, want)
		}
	}
}

func TestReflectedCredentials(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	basicToken := base64.StdEncoding.EncodeToString([]byte(jirasim.DefaultUsername + ":" + jirasim.DefaultPassword))
	for _, row := range []struct {
		form jirasim.Form
		edit edit
		want string
	}{
		{jirasim.FormVerbatim, bot, "Basic " + basicToken},
		{jirasim.FormBare, bot, basicToken},
		{jirasim.FormDecoded, bot, jirasim.DefaultPassword},
		{jirasim.FormDecoded, bearer(jirasim.DefaultPAT), jirasim.DefaultPAT},
		{jirasim.FormBase64, bearer(jirasim.DefaultPAT), base64.StdEncoding.EncodeToString([]byte(jirasim.DefaultPAT))},
		{jirasim.FormURL, bot, strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(basicToken)},
	} {
		get := func(f jirasim.Fault) answer {
			f.Form, f.Times = row.form, 1
			sim.Fault(f)
			return call(t, client, "GET", priorities(sim), "", row.edit)
		}
		if a := get(jirasim.Fault{Kind: jirasim.ReflectBody}); a.json(t, "echo") != row.want {
			t.Errorf("%q in the body: %s", row.form, a.body)
		}
		if a := get(jirasim.Fault{Kind: jirasim.ReflectHeader}); a.header.Get("ETag") != `"`+row.want+`"` {
			t.Errorf("%q in the header: %q", row.form, a.header.Get("ETag"))
		}
		if a := get(jirasim.Fault{Kind: jirasim.ReflectHeader, Name: "X-Debug"}); a.header.Get("X-Debug") != row.want {
			t.Errorf("%q in another header: %q", row.form, a.header.Get("X-Debug"))
		}
		a := get(jirasim.Fault{Kind: jirasim.ReflectLate, Size: 1 << 20})
		if a.json(t, "echo") != row.want || len(a.body) < 1<<20 || a.header.Get("Content-Length") != "" {
			t.Errorf("%q late: %d bytes, Content-Length %q", row.form, len(a.body), a.header.Get("Content-Length"))
		}
		if a := get(jirasim.Fault{Kind: jirasim.Trailers}); a.trailer.Get("X-Reflected") != row.want || a.trailer.Get("Set-Cookie") == "" || !strings.Contains(a.body, "Highest") {
			t.Errorf("%q in the trailer: %v", row.form, a.trailer)
		}
	}
	sim.Fault(jirasim.Fault{Kind: jirasim.ReflectBody, Times: 1})
	if a := refresh(t, sim, client, "a-refresh-token"); !strings.Contains(a.body, "a-refresh-token") || !strings.Contains(a.body, jirasim.DefaultClientSecret) {
		t.Errorf("the token endpoint reflects %s", a.body)
	}
}
