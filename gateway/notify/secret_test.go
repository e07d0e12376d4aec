package notify

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore/secret"
)

func encoded(bytes int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", bytes)))
}

func TestCheckSecret(t *testing.T) {
	for _, test := range []struct {
		name, secret string
		problem      string // empty: it will do
	}{
		{"shortest", encoded(24), ""},
		{"longest", encoded(64), ""},
		{"from a file", encoded(32) + "\n", ""},
		{"two", encoded(32) + "\r\n" + encoded(40) + "\n", ""},
		{"made here", NewSecret().Reveal(), ""},
		{"none", " \n", "empty"},
		{"three", strings.Repeat(encoded(32)+" ", 3), "more than 2"},
		{"too short", encoded(23), "has 23 bytes"},
		{"too long", encoded(65), "has 65 bytes"},
		{"no prefix", strings.TrimPrefix(encoded(32), "whsec_"), "begin with whsec_"},
		{"asymmetric", "whsk_" + strings.TrimPrefix(encoded(32), "whsec_"), "begin with whsec_"},
		{"no base64", "whsec_" + strings.Repeat("!", 40), "base64"},
		{"no padding", strings.TrimRight(encoded(32), "="), "base64"},
		{"second is bad", encoded(32) + " hunter2", "begin with whsec_"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckSecret(secret.New(test.secret))
			switch {
			case test.problem == "" && err != nil:
				t.Error(err)
			case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
				t.Errorf("got %v, want something about %q", err, test.problem)
			}
		})
	}
}

func TestNewSecretsDiffer(t *testing.T) {
	if NewSecret().Equal(NewSecret()) {
		t.Error("twice the same")
	}
}

// TestSignatureOfTheSpecification: the values are those of the specification's
// own test suite.
func TestSignatureOfTheSpecification(t *testing.T) {
	got, err := sign(secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek",
		time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

func TestCheckURL(t *testing.T) {
	for _, test := range []struct {
		url     string
		problem string // empty: it will do
	}{
		{"https://product.example/hooks?token=x", ""},
		{"https://product.example:8443", ""},
		{"https://[2001:db8::1]/hooks", ""},
		{"http://localhost:3000/hooks", ""},
		{"http://127.0.0.1:3000/hooks", ""},
		{"http://[::1]:3000/hooks", ""},
		{"", "is none"},
		{"product.example/hooks", "is none"},
		{"https:product.example", "is none"},
		{"https:///hooks", "is none"},
		{"https://:443/hooks", "is none"},
		{"https://product.example/%zz", "is none"},
		{"https://product.example/\n", "is none"},
		{"http://product.example/hooks", "use https"},
		{"http://localhost.product.example/hooks", "use https"},
		{"http://127.0.0.1.product.example/hooks", "use https"},
		{"http://10.0.0.1/hooks", "use https"},
		{"ftp://product.example/hooks", "not https"},
		{"https://gateway:hunter2@product.example/hooks", "user name"},
		{"https://product.example/hooks#there", "fragment"},
		{"https://product.example/" + strings.Repeat("a", maxURL), "longer than"},
	} {
		err := CheckURL(test.url)
		switch {
		case test.problem == "" && err != nil:
			t.Errorf("%.60s: %v", test.url, err)
		case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
			t.Errorf("%.60s: got %v, want something about %q", test.url, err, test.problem)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{Store: newMemory(), URL: endpointURL, Secret: NewSecret()}
	for name, change := range map[string]func(*Options){
		"no store":   func(o *Options) { o.Store = nil },
		"no URL":     func(o *Options) { o.URL = "" },
		"bad URL":    func(o *Options) { o.URL = "https://" + mark + ":" + mark + "@product.example" },
		"no secret":  func(o *Options) { o.Secret = secret.Secret{} },
		"bad secret": func(o *Options) { o.Secret = secret.New("whsec_" + mark) },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

// FuzzCheck: nothing of a text is in an error, and what passes can be used.
func FuzzCheck(f *testing.F) {
	f.Add("https://product.example/hooks", encoded(32))
	f.Add("http://a:b@127.0.0.1/#x", "whsec_YWJj whsec_")
	f.Fuzz(func(t *testing.T, url, key string) {
		s := secret.New(key)
		errURL, errSecret := CheckURL(url), CheckSecret(s)
		for _, err := range []error{CheckURL(url + mark), CheckURL(mark + url), CheckSecret(secret.New(key + mark)), CheckSecret(secret.New(mark + key))} {
			if err != nil && strings.Contains(err.Error(), mark) {
				t.Errorf("quoted: %v", err)
			}
		}
		if errSecret == nil {
			if signature, err := sign(s, "msg_1", time.Unix(0, 0), nil); err != nil || !strings.HasPrefix(signature, "v1,") {
				t.Errorf("a secret that passed doesn't sign: %q, %v", signature, err)
			}
		}
		if errURL == nil && errSecret == nil {
			n, err := New(Options{Store: newMemory(), URL: url, Secret: s})
			if err != nil {
				t.Fatal(err)
			}
			c := tokenConnection()
			if _, err := n.request(t.Context(), news{connection: &c}); err != nil {
				t.Errorf("a URL that passed makes no request: %v", err)
			}
		}
	})
}
