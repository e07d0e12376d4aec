package shipping

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"

	"jiragate/gateway/audit"
)

// attributes are r's in the form of attributes, none twice (semantic conventions
// 1.43, registry: http, url, client, network). Their names are a contract.
func attributes(r *audit.Record) []attribute.KeyValue {
	list := make(attributeList, 0, 32)
	list.number("jiragate.seq", int64(r.Seq))
	list.text("jiragate.record", r.ID)
	list.method(r.Method)
	list.text("url.path", r.Path)
	list.address("client", r.ClientAddr)
	list.address("network.peer", r.UpstreamAddr)
	list.number("http.response.status_code", int64(r.Status))
	list.number("http.request.body.size", r.BytesIn)
	list.number("http.response.body.size", r.BytesOut)
	for _, kv := range [...]struct{ key, value string }{
		{"jiragate.client", r.Client},
		{"jiragate.connection", r.Connection},
		{"jiragate.edition", r.Edition},
		{"jiragate.region", r.Region},
		{"jiragate.operation", r.Operation},
		{"jiragate.decision", r.Decision},
		{"jiragate.code", r.Code},
		{"jiragate.policy_sha256", r.PolicySHA256},
		{"jiragate.credential", r.Credential},
		{"jiragate.egress_ip", r.EgressIP},
	} {
		list.text(kv.key, kv.value)
	}
	if len(r.QueryNames) > 0 {
		names := make([]string, len(r.QueryNames))
		for i, n := range r.QueryNames {
			names[i] = visible(n)
		}
		list = append(list, attribute.StringSlice("jiragate.query_names", names))
	}
	if r.DurationMS != 0 {
		list = append(list, attribute.Float64("jiragate.duration_ms", r.DurationMS))
	}
	return list
}

// attributeList leaves out what is empty or 0: unknown, as in the audit record.
type attributeList []attribute.KeyValue

func (l *attributeList) text(key, value string) {
	if value != "" {
		*l = append(*l, attribute.String(key, visible(value)))
	}
}

func (l *attributeList) number(key string, value int64) {
	if value != 0 {
		*l = append(*l, attribute.Int64(key, value))
	}
}

// method keeps the attribute bounded, as the conventions ask.
func (l *attributeList) method(m string) {
	switch m {
	case "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		l.text("http.request.method", m)
	default:
		l.text("http.request.method", "_OTHER")
		l.text("http.request.method_original", m)
	}
}

// address adds the address and its port. What has none, as "unix:pid=123", is
// an address as it is.
func (l *attributeList) address(name, value string) {
	a, err := netip.ParseAddrPort(value)
	if err != nil {
		l.text(name+".address", value)
		return
	}
	l.text(name+".address", a.Addr().String())
	l.number(name+".port", int64(a.Port()))
}

// visible returns s with U+FFFD for what is not UTF-8, with which a whole batch
// could not be encoded, and for what is not to be seen.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s // as nearly all is; the tables of Unicode take ten times as long
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
