package consent

import (
	"context"
	"net"
	"net/http"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
)

// visit is one request of a browser, on its way to a page.
type visit struct {
	*Flow
	w         http.ResponseWriter
	r         *http.Request
	reference string      // the id of its audit record, or just of a line in the log
	form      *siteAnswer // what was posted; nil if that is no answer
	about     *tokenstore.Connection
}

// addr is the visitor's address without the port, or that of the proxy in front.
func (v *visit) addr() string {
	host, _, err := net.SplitHostPort(v.r.RemoteAddr)
	if err != nil {
		return v.r.RemoteAddr
	}
	return host
}

// knownAs notes which connection the visit is about, as soon as the visitor has
// shown to be invited to it, by a link that is good. From then on there is a record
// of what comes of it.
func (v *visit) knownAs(c *tokenstore.Connection) {
	v.about = c
	v.r = v.r.WithContext(act.With(v.r.Context(), act.Actor{Name: "customer:" + c.ID, Addr: v.r.RemoteAddr}))
}

// record is what there is to say about the visit.
func (v *visit) record() audit.Record {
	return audit.Record{
		ID:         v.reference,
		Connection: v.about.ID,
		Edition:    string(v.about.Edition),
		Region:     string(v.about.Region),
		Credential: string(v.about.CredentialKind),
		Method:     v.r.Method,
		Operation:  Operation,
		Path:       v.r.URL.Path,
	}
}

// refused is a page for what ended before anything was asked or changed. Visitors
// who have not shown to be invited get a line in the log only: they could fill the
// records.
func (v *visit) refused(p page, err error) *page {
	v.log(p, err)
	if v.about != nil {
		v.o.Acts.Refuse(v.r.Context(), v.record(), p.status, p.code)
	}
	return &p
}

// act has do carried through, on record, even if the browser goes away.
func (v *visit) act(do func(ctx context.Context) (page, error)) *page {
	ctx := context.WithoutCancel(v.r.Context())
	a, err := v.o.Acts.Begin(ctx, v.record())
	if err != nil {
		p := unrecorded()
		v.log(p, err)
		return &p
	}
	defer a.End(http.StatusInternalServerError, "internal") // of a panic
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	p, err := do(ctx)
	v.log(p, err)
	a.End(p.status, p.code)
	return &p
}

// log has the cause, which the page doesn't: it goes to the gateway's operator.
func (v *visit) log(p page, err error) {
	attrs := []any{"path", v.r.URL.Path, "reference", v.reference, "addr", v.o.Acts.Address(v.r.RemoteAddr)}
	if v.about != nil {
		attrs = append(attrs, "connection", v.about.ID)
	}
	switch {
	case p.code == "":
		v.o.Logger.InfoContext(v.r.Context(), "consented", attrs...)
		return
	case p.status < http.StatusBadRequest:
		v.o.Logger.InfoContext(v.r.Context(), "consented, a site is to be chosen", attrs...)
		return
	}
	attrs = append(attrs, "code", p.code)
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	attrs = append(attrs, "hint", "the code says what went wrong; the link works until it expires, then: jiragate connection consent")
	v.o.Logger.WarnContext(v.r.Context(), "no consent", attrs...)
}
