package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/google/go-cmp/cmp"

	"jiragate/tokenstore/secret"
)

const content = "hunter2-content"

// leaks reports whether content shows in s, as it is or in one of the spellings
// that verbs and encodings give to text.
func leaks(s string) bool {
	for _, form := range []string{
		content,
		fmt.Sprintf("%x", content), fmt.Sprintf("%X", content), fmt.Sprintf("% x", content),
		strings.Trim(fmt.Sprint([]byte(content)), "[]"),
		strings.Trim(fmt.Sprintf("%#v", []byte(content)), "[]byte{}"),
		strings.Trim(fmt.Sprintf("%U", []rune(content)), "[]"),
	} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

type exported struct{ S secret.Secret }

type unexported struct{ s secret.Secret }

type pointer struct{ s *secret.Secret }

type embedded struct{ secret.Secret }

// holders are values that hold a secret in all the ways a program comes up with.
func holders() map[string]any {
	s := secret.New(content)
	return map[string]any{
		"itself":                     s,
		"pointer":                    &s,
		"empty":                      secret.Secret{},
		"nil pointer":                (*secret.Secret)(nil),
		"exported field":             exported{s},
		"pointer to exported field":  &exported{s},
		"unexported field":           unexported{s},
		"pointer to it":              &unexported{s},
		"pointer in a field":         pointer{&s},
		"pointer to that":            &pointer{&s},
		"embedded":                   embedded{s},
		"slice":                      []secret.Secret{s},
		"slice of pointers":          []*secret.Secret{&s},
		"array":                      [1]secret.Secret{s},
		"map":                        map[string]secret.Secret{"k": s},
		"map of structs":             map[string]unexported{"k": {s}},
		"interface":                  []any{s, &s, unexported{s}},
		"slice of unexported fields": []unexported{{s}},
		"deep":                       map[string][]*unexported{"k": {{s}}},
		"error":                      fmt.Errorf("wrapped %v: %w", s, errors.New("cause")),
	}
}

func TestNoVerbPrintsASecret(t *testing.T) {
	verbs := []string{
		"%v", "%+v", "%#v", "%s", "%+s", "%q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%c", "%U", "%#U",
		"no verb, so that the value is an extra argument", "%*d", "%[2]v", "%.*s",
		"%b", "%o", "%O", "%e", "%f", "%g", "%t", "%p", "%#p", "%T", "%w", "%y", "%!", "%20v", "%-20.3s", "%020d",
	}
	for name, v := range holders() {
		t.Run(name, func(t *testing.T) {
			for _, verb := range verbs {
				if got := fmt.Sprintf(verb, v); leaks(got) {
					t.Errorf("%s prints %q", verb, got)
				}
			}
			if got := fmt.Sprint(v) + fmt.Sprintln(v); leaks(got) {
				t.Errorf("Sprint prints %q", got)
			}
		})
	}
}

func TestNoEncodingShowsASecret(t *testing.T) {
	encodings := map[string]func(any) string{
		"json": func(v any) string {
			b, err := json.Marshal(v)
			return fmt.Sprint(string(b), err)
		},
		"xml": func(v any) string {
			b, err := xml.Marshal(v)
			return fmt.Sprint(string(b), err)
		},
		"slog text": func(v any) string { return logged(v, textHandler) },
		"slog json": func(v any) string { return logged(v, jsonHandler) },
		"text/template": func(v any) string {
			var b bytes.Buffer
			err := texttemplate.Must(texttemplate.New("").Parse(`{{.}} {{printf "%#v" .}}`)).Execute(&b, v)
			return fmt.Sprint(b.String(), err)
		},
		"html/template": func(v any) string {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse(`<a href="{{.}}" onclick="f({{.}})">{{.}}</a>`)).Execute(&b, v)
			return fmt.Sprint(b.String(), err)
		},
		"reflect":       func(v any) string { return fmt.Sprint(reflect.ValueOf(v)) },
		"panic message": panicked,
		"go-cmp": func(v any) string {
			return cmp.Diff(v, "something else", cmp.Exporter(func(reflect.Type) bool { return true }))
		},
	}
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			for holder, v := range holders() {
				if got := encode(v); leaks(got) {
					t.Errorf("%s shows %q", holder, got)
				}
			}
		})
	}
}

func textHandler(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }
func jsonHandler(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }

func logged(v any, handler func(*bytes.Buffer) slog.Handler) string {
	var b bytes.Buffer
	l := slog.New(handler(&b))
	l.Info("message", "value", v, slog.Group("group", "value", v))
	l.With("value", v).Info(fmt.Sprint(v))
	return b.String()
}

func panicked(v any) (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	panic(fmt.Sprintf("%v", v))
}

// The tests above would pass if leaks never found anything.
func TestLeaksFindsWhatFmtPrints(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x"} {
		if got := fmt.Sprintf(verb, struct{ s string }{content}); !leaks(got) {
			t.Errorf("%s of a plain string prints %q, and leaks does not see it", verb, got)
		}
	}
	if !leaks(fmt.Sprint([]byte(content))) || !leaks(fmt.Sprintf("%#v", []byte(content))) || !leaks(fmt.Sprintf("%U", []rune(content))) {
		t.Error("leaks does not see bytes or runes")
	}
}

func TestWhatItPrints(t *testing.T) {
	for name, s := range map[string]secret.Secret{"full": secret.New(content), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			j, _ := json.Marshal(s)
			text, _ := s.MarshalText()
			for what, got := range map[string]string{
				"String": s.String(), "GoString": s.GoString(), "MarshalText": string(text),
				"%v": fmt.Sprintf("%v", s), "%d": fmt.Sprintf("%d", s), "LogValue": s.LogValue().String(),
				"MarshalJSON": strings.Trim(string(j), `"`),
			} {
				if got != "REDACTED" {
					t.Errorf("%s is %q, want REDACTED", what, got)
				}
			}
		})
	}
}

func TestReveal(t *testing.T) {
	for _, want := range []string{"", "a", content, "two\nlines", "\x00\xff"} {
		if got := secret.New(want).Reveal(); got != want {
			t.Errorf("New(%q).Reveal() = %q", want, got)
		}
	}
}

func TestIsZero(t *testing.T) {
	if !(secret.Secret{}).IsZero() || !secret.New("").IsZero() {
		t.Error("an empty secret is not zero")
	}
	if secret.New(" ").IsZero() {
		t.Error("a blank secret is zero")
	}
}

func TestEqual(t *testing.T) {
	tests := []struct {
		name string
		a, b secret.Secret
		want bool
	}{
		{"same content", secret.New("a"), secret.New("a"), true},
		{"both empty", secret.Secret{}, secret.New(""), true},
		{"other content", secret.New("a"), secret.New("b"), false},
		{"other length", secret.New("a"), secret.New("aa"), false},
		{"one empty", secret.New("a"), secret.Secret{}, false},
		{"both shown as REDACTED", secret.New("REDACTED"), secret.Secret{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.a.Equal(test.b) != test.want || test.b.Equal(test.a) != test.want {
				t.Errorf("want %v, both ways", test.want)
			}
		})
	}
}

// == would not be constant time, and would compare addresses: it must not
// compile, nor may a secret be the key of a map.
func TestNotComparable(t *testing.T) {
	if reflect.TypeFor[secret.Secret]().Comparable() {
		t.Error("secrets can be compared with ==")
	}
}
