package keyset_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"jiragate/tokenstore/keyset"
)

// repeated bounds calls that Google's client repeats until time is up; 0, which
// is the ordinary bound, for the others, which end by themselves.
func (f *fake) repeated() time.Duration {
	if f.name == "google" {
		return time.Second
	}
	return 0
}

func saysNoSecret(t *testing.T, err error, more ...string) {
	t.Helper()
	for _, secret := range append(more, reflected, awsSecret, awsKeyID, vaultToken, "google-token") {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q quotes %q", err, secret)
		}
	}
}

func TestServiceInTrouble(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		for _, test := range []struct {
			name    string
			trouble func()
			timeout time.Duration
			want    string
			is      error
		}{
			{"denied", func() { f.denied.Store(true) }, 0, "access is denied", nil},
			{"out of order", func() { f.instead(outOfOrder) }, f.repeated(), "out of order", nil},
			{"HTML", func() { f.instead(html) }, 0, "not one that is understood here", nil},
			{"truncated", func() { f.instead(truncated) }, 0, "", nil},
			{"empty", func() { f.instead(empty) }, 0, "", nil},
			{"endless", func() { f.instead(endless) }, 0, "", nil},
			{"hanging", func() { f.instead(hanging) }, 200 * time.Millisecond, "no answer within 200ms", context.DeadlineExceeded},
		} {
			t.Run(test.name, func(t *testing.T) {
				file := newFile(t)
				openLive(t, f.uri, f.options(file))
				content, _ := os.ReadFile(file)
				test.trouble()
				defer func() { f.denied.Store(false); f.instead(nil) }()
				for doing, file := range map[string]string{"decrypting": file, "encrypting": newFile(t)} {
					l, err := keyset.Open(t.Context(), f.uri, f.options(file).ForTest(test.timeout, f.google...))
					if err == nil {
						t.Fatalf("%s: it opens as %v", doing, l)
					}
					for _, want := range []string{doing + " the keyset under " + f.uri, test.want, "; check "} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("%s: error %q, want one that says %q", doing, err, want)
						}
					}
					if test.is != nil && !errors.Is(err, test.is) {
						t.Errorf("%s: error %q is not %v", doing, err, test.is)
					}
					saysNoSecret(t, err)
					if doing == "encrypting" {
						if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
							t.Errorf("a file is there, %v", err)
						}
					}
				}
				if now, _ := os.ReadFile(file); !bytes.Equal(now, content) {
					t.Error("the file was written to")
				}
			})
		}
	})
}

func TestServiceOutOfReach(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		o := f.options(newFile(t)).ForTest(f.repeated(), f.google...)
		f.server.Close()
		_, err := keyset.Open(t.Context(), f.uri, o)
		if err == nil || !strings.Contains(err.Error(), "connection refused") && !strings.Contains(err.Error(), "can't be reached") {
			t.Errorf("error %v", err)
		}
	})
}

func TestServiceWithAnUntrustedCertificate(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		t.Setenv("AWS_CA_BUNDLE", "")
		t.Setenv("VAULT_CACERT", "")
		o := f.options(newFile(t)).ForTest(f.repeated(), f.google[:min(2, len(f.google))]...)
		_, err := keyset.Open(t.Context(), f.uri, o)
		// gRPC makes no difference between this and a service out of reach.
		if err == nil || !strings.Contains(err.Error(), "not one to trust") && !strings.Contains(err.Error(), "can't be reached") {
			t.Errorf("error %v", err)
		}
		if n := f.calls.Load(); n != 0 {
			t.Errorf("it was called %d times all the same", n)
		}
	})
}

func TestServiceCallsEndWithTheContext(t *testing.T) {
	services(t, func(t *testing.T, f *fake) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f.instead(func(w http.ResponseWriter, r *http.Request) { cancel(); hanging(w, r) })
		if _, err := keyset.Open(ctx, f.uri, f.options(newFile(t))); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want Canceled", err)
		}
	})
}

// The keyset goes over TLS that is verified, whatever the environment says.
func TestServiceInClearIsRefused(t *testing.T) {
	for _, test := range []struct {
		start             func(*testing.T) *fake
		name, value, want string
	}{
		{startAWS, "AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1", "not https"},
		{startVault, "VAULT_SKIP_VERIFY", "true", "VAULT_SKIP_VERIFY"},
	} {
		f := test.start(t)
		t.Setenv(test.name, test.value)
		_, err := keyset.Open(t.Context(), f.uri, f.options(newFile(t)))
		if err == nil || !strings.Contains(err.Error(), test.want) || f.calls.Load() != 0 {
			t.Errorf("%s=%s: error %v after %d calls", test.name, test.value, err, f.calls.Load())
		}
	}
}

func TestServiceEnvironment(t *testing.T) {
	for _, test := range []struct {
		name  string
		start func(*testing.T) *fake
		env   map[string]string
		want  string
	}{
		{"no AWS credentials", startAWS, map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are no AWS credentials"},
		{"a CA bundle that is not there", startAWS, map[string]string{"AWS_CA_BUNDLE": "/nonexistent/hunter2"}, "AWS configuration"},
		{"no Vault token", startVault, map[string]string{"VAULT_TOKEN": ""}, "there is no token"},
		{"another Vault token", startVault, map[string]string{"VAULT_TOKEN": "hunter2"}, "access is denied"},
		{"another Vault namespace", startVault, map[string]string{"VAULT_NAMESPACE": "hunter2"}, "access is denied"},
		{"a broken Vault variable", startVault, map[string]string{"VAULT_MAX_RETRIES": "hunter2"}, "VAULT_* variables"},
		{"broken Vault headers", startVault, map[string]string{"VAULT_HEADERS": "hunter2"}, "VAULT_* variables"},
		{"Google credentials that are not there", startGoogle, map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent/hunter2"}, "no Google credentials"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := test.start(t)
			f.google = nil
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			_, err := keyset.Open(t.Context(), f.uri, f.options(newFile(t)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that says %q", err, test.want)
			}
			saysNoSecret(t, err)
		})
	}
}
