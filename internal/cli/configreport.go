package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/egress"
)

// setting is a value that the program was started with, as it may be shown.
type setting struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"` // none: not set, and there is no default
	Source  string `json:"source"`
	Default string `json:"default,omitempty"`
	Meaning string `json:"meaning,omitempty"`
}

// Where a value comes from, besides a file.
const (
	fromEnvironment = "environment"
	fromDefault     = "default"
)

// What is shown in the place of a value.
const (
	redacted   = "(redacted)"
	notAllowed = "(not allowed)"
)

// settings are the values of all our variables in the order of the struct, and of
// those of OpenTelemetry that are set. err is what [ParseConfig] said of environ, and
// c what it made of it. No value is a secret, not even one in the wrong place: what
// isn't certain to be none is redacted.
func settings(c Config, environ []string, err error) []setting {
	vars := environment(environ)
	refused := refusedVariables(err)
	var list []setting
	values := reflect.ValueOf(c)
	for f := range configFields() {
		name := variableOf(f)
		s := setting{Name: name, Source: fromDefault, Default: defaultOf(f), Meaning: f.Tag.Get("meaning")}
		s.Value = s.Default
		switch {
		case vars[name] != "":
			s.Source = fromEnvironment
			s.Value = shownValue(f, values.FieldByIndex(f.Index).Interface(), vars)
			if refused[name] {
				s.Value = notAllowed
			}
		case name == envPrefix+"EGRESS" && len(c.Egress) > 0:
			s.Source, s.Value = "file "+shownFile(c.EgressFile), shownList(c.Egress)
		}
		list = append(list, s)
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if strings.HasPrefix(name, otelPrefix) && vars[name] != "" {
			list = append(list, setting{Name: name, Value: shownOTel(name, vars[name], c.KeyURI), Source: fromEnvironment})
		}
	}
	return list
}

func environment(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	return vars
}

// defaultOf is what a variable is when it is not set; "" for nothing.
func defaultOf(f reflect.StructField) string {
	return cmp.Or(f.Tag.Get("envDefault"), f.Tag.Get("shown"))
}

// refusedVariables are those that a [ConfigError] is about. Their values say nothing
// that the error does not.
func refusedVariables(err error) map[string]bool {
	refused := map[string]bool{}
	parts := joined(err)
	if parts == nil && err != nil {
		parts = []error{err}
	}
	for _, e := range parts {
		if c, ok := e.(*ConfigError); ok {
			refused[c.Variable] = true
		}
	}
	return refused
}

// shownValue is the value of a variable that is set. parsed is what was made of it.
func shownValue(f reflect.StructField, parsed any, vars map[string]string) string {
	value := vars[variableOf(f)]
	switch v := parsed.(type) {
	case []egress.Address:
		return shownList(v)
	case []offsite.Place:
		if strings.Contains(value, "@") { // see shownURL
			return redacted
		}
		return shownList(v)
	case webhookURL:
		return shownURL(value)
	case echoServices:
		var services []string
		for _, s := range v {
			services = append(services, shownURL(s))
		}
		return strings.Join(services, ",")
	}
	switch kind := f.Tag.Get("type"); {
	case f.Tag.Get("secret") != "", suspicious(value):
		return redacted
	case kind == "file":
		return shownFile(value)
	case kind == "key URI":
		return shownKeyURI(value, vars)
	}
	return value
}

// shownList joins what says of itself only what may be shown.
func shownList[T interface{ String() string }](list []T) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, ",")
}

// suspicious reports whether a value may hold credentials where none belong: user
// info or a query of a URL, or a key of several lines.
func suspicious(value string) bool { return strings.ContainsAny(value, "@?\n\r") }

// shownURL is where a URL leads to. What comes after the host may hold a token, and
// before an @ there may be a password, even where a URL has no user info by RFC 3986.
func shownURL(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || strings.ContainsAny(value, "@\n\r") {
		return redacted
	}
	host, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	if tail != "" && tail != "/" {
		tail = "/…"
	}
	return scheme + "://" + host + tail
}

// shownFile is a path, unless it may be what belongs into a file: it is shown if the
// file is there, or at least the directory that it names.
func shownFile(path string) string {
	if suspicious(path) {
		return redacted
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err == nil && info.IsDir() && dir != "." && dir != "/" || strings.HasPrefix(path, "./") {
		return path
	}
	return redacted
}

// unreadable is the error of opening or reading a file that a variable names, without
// a path that may be a secret in the wrong place. Other errors are about a file that is
// there.
func unreadable(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("reading %s: %w", shownFile(path), e.Err)
	}
	return err
}

// shownKeyURI is where the keyset is, unless it may be the keyset.
func shownKeyURI(uri string, vars map[string]string) string {
	if path, ok := strings.CutPrefix(uri, "file:"); ok {
		return "file:" + shownFile(path)
	}
	if name, ok := strings.CutPrefix(uri, "env:"); ok && vars[name] != "" {
		return uri
	}
	for _, kms := range []string{"aws-kms://", "gcp-kms://", "hcvault://"} {
		if strings.HasPrefix(uri, kms) {
			return uri
		}
	}
	return redacted
}

// otelPrefix begins the names of OpenTelemetry's variables.
const otelPrefix = "OTEL_"

// shownOTel is the value of a variable of OpenTelemetry. Its headers hold API keys,
// and anything may be a resource attribute.
func shownOTel(name, value, keyURI string) string {
	mayHold := func(text string, words ...string) bool {
		text = strings.ToUpper(text)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case keyURI == "env:"+name,
		mayHold(name, "HEADER", "KEY", "TOKEN", "PASSWORD", "SECRET"),
		mayHold(value, "AUTHORIZATION", "BEARER", "KEY", "TOKEN", "PASSWORD", "SECRET"),
		suspicious(value):
		return redacted
	case strings.Contains(value, "://"):
		return shownURL(value)
	}
	return value
}
