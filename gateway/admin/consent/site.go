package consent

import (
	"context"
	"net/http"
	"slices"
	"time"

	"jiragate/tokenstore/oauth"
)

// choice is a consent to several sites, that waits to be told which one is meant.
type choice struct {
	started
	granted *oauth.Granted
}

// ask is the page that asks for the site. Its token, which works once, keeps other
// sites' forms out, beside the cookie.
func (v *visit) ask(c choice, again bool) page {
	token := randomToken()
	v.choices.put(v.o.Now(), token, c.invitation.TokenSHA256, v.addr(), c)
	return chooseSite(c.granted.Sites, token, again)
}

// site is the answer to it.
func (v *visit) site() *page {
	if v.form == nil {
		return v.refused(stateUnknown(), nil)
	}
	chosen, ok := v.choices.take(v.o.Now(), v.form.token)
	if !ok {
		return v.refused(stateUnknown(), nil)
	}
	c, p := v.resume(chosen.started)
	if p != nil {
		return p
	}
	i := slices.IndexFunc(chosen.granted.Sites, func(s oauth.Site) bool { return s.ID == v.form.site })
	if i < 0 {
		return v.refused(v.ask(chosen, true), nil)
	}
	leave, ok := v.occupy(c.ID)
	if !ok {
		return v.refused(busy(), nil)
	}
	defer leave()
	return v.act(func(ctx context.Context) (page, error) {
		return v.connect(ctx, chosen.started, chosen.granted, chosen.granted.Sites[i])
	})
}

type siteAnswer struct{ token, site string }

// receive reads the form, for a limited time.
func (v *visit) receive() {
	// Where there is no connection the body is there. The server lifts the deadline
	// when it has read all of the body.
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(formTimeout))
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil || len(v.r.PostForm["token"]) != 1 || len(v.r.PostForm["site"]) > 1 {
		return
	}
	v.form = &siteAnswer{token: v.r.PostForm.Get("token"), site: v.r.PostForm.Get("site")}
}
