package offsite

import (
	"fmt"
	"strings"
	"testing"
)

// mark is in everything that must not come out.
const mark = "S3cret"

func TestParsePlaces(t *testing.T) {
	for _, test := range []struct {
		given string
		want  []string // kind and what is shown
	}{
		{"", nil},
		{" \n", nil},
		{"stdout", []string{"stdout stdout"}},
		{" /worm/us/ , stdout,https://log.example", []string{"directory /worm/us", "stdout stdout", "endpoint https://log.example"}},
		{"store, /store", []string{"store store", "directory /store"}},
		{"/", []string{"directory /"}},
		{"/a/../b", []string{"directory /b"}},
		{"/stdout", []string{"directory /stdout"}},
		{"https://log.example:8443/", []string{"endpoint https://log.example:8443"}},
		{"https://log.example/hook/" + mark, []string{"endpoint https://log.example/…"}},
		{"https://log.example?token=" + mark, []string{"endpoint https://log.example/…"}},
		{"HTTPS://[2001:db8::1]/x", []string{"endpoint https://[2001:db8::1]/…"}},
		{"http://localhost:8080/,http://127.9.0.1,http://[::1]", []string{"endpoint http://localhost:8080", "endpoint http://127.9.0.1", "endpoint http://[::1]"}},
	} {
		places, err := ParsePlaces(test.given)
		if err != nil {
			t.Errorf("%q: %v", test.given, err)
			continue
		}
		var got []string
		for _, p := range places {
			got = append(got, fmt.Sprintf("%s %v", p.Kind(), p))
		}
		if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%q: got %q, want %q", test.given, got, test.want)
		}
	}
}

func TestRefusesWhatIsNoPlace(t *testing.T) {
	for _, test := range []struct{ given, want string }{
		{",stdout", "place 1 for checkpoints: it is empty"},
		{"stdout,", "place 2 for checkpoints: it is empty"},
		{"stdout,stdout", "place 2 for checkpoints is the same as place 1"},
		{"/a,/b,/b/", "place 3 for checkpoints is the same as place 2"},
		{"https://a.example/" + mark + ",https://a.example/" + mark, "the same"},
		{"store,stdout,store", "place 3 for checkpoints is the same as place 1"},
		{"worm/" + mark, "absolute path"},
		{"./" + mark, "absolute path"},
		{"stderr" + mark, "nor stdout"},
		{"/worm\n/" + mark, "can't be seen"},
		{"/worm\u202e" + mark, "can't be seen"},
		{"/worm\xff" + mark, "can't be seen"},
		{"/" + strings.Repeat("x", maxTarget), "longer than"},
		{"https://user:" + mark + "@log.example/", "bearer token"},
		{"https://" + mark + "@log.example/", "bearer token"},
		{"htps://user:" + mark + "@log.example/", "bearer token"},
		{"https://log.example/%zz" + mark, "https://HOST/PATH"},
		{"https://log.example/#" + mark, "fragment"},
		{"https://:443/" + mark, "https://HOST/PATH"},
		{"https://log%1b.example/" + mark, "https://HOST/PATH"},
		{"https://[fe80::1%25eth0]/" + mark, "https://HOST/PATH"},
		{"http://log.example/" + mark, "this machine only"},
		{"http://localhost.evil.example/" + mark, "this machine only"},
		{"http://10.0.0.1/" + mark, "this machine only"},
		{"ftp://log.example/" + mark, "not https"},
		{"file:///worm/" + mark, "https://HOST/PATH"},
		{strings.Repeat("/a,", maxPlaces) + "/b", "the same"},
	} {
		places, err := ParsePlaces(test.given)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, %v, want an error with %q", test.given, places, err, test.want)
		} else if strings.Contains(err.Error(), mark) {
			t.Errorf("%q: the error quotes it: %v", test.given, err)
		}
	}
	var many []string
	for i := range maxPlaces + 1 {
		many = append(many, fmt.Sprintf("/%d", i))
	}
	if _, err := ParsePlaces(strings.Join(many, ",")); err == nil || !strings.Contains(err.Error(), "more than 16") {
		t.Errorf("%d places: %v", len(many), err)
	}
}

func TestPlacesPrintWithoutSecrets(t *testing.T) {
	places, err := ParsePlaces("https://log.example/hook/" + mark + "?token=" + mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(form, Status{Place: places[0]}) + fmt.Sprintf(form, places); strings.Contains(got, mark) || strings.Contains(got, fmt.Sprintf("%x", mark)) {
			t.Errorf("%s: %s", form, got)
		}
	}
}

func FuzzParsePlaces(f *testing.F) {
	for _, seed := range []string{"", "stdout", "/a,/b", "https://h/p?q", "http://[::1]:80,stdout", "https://a:b@c", ",", "https://h%41/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		places, err := ParsePlaces(s)
		if err != nil {
			return
		}
		for _, p := range places {
			if shown := p.String(); shown == "" || strings.ContainsFunc(shown, unprintable) {
				t.Errorf("%q gives a place that is shown as %q", s, shown)
			}
			if p.kind == KindEndpoint && strings.Contains(p.url.Reveal(), "@") && strings.Contains(p.public, "@") {
				t.Errorf("%q: user info in %q", s, p.public)
			}
		}
	})
}
