package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
)

// certificateCheck is how often the certificates of the listeners are looked at. What
// renews them, as cert-manager, does so days before the old ones end.
const certificateCheck = time.Minute

// watchCertificates reads the certificates of the listeners again from time to time,
// since what renews them tells nobody.
func (s *Server) watchCertificates(ctx context.Context, every time.Duration) {
	if len(s.certificateParts()) == 0 {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.checkCertificates(ctx)
		}
	}
}

// checkCertificates puts each new certificate in force that is in order. One that is not
// leaves the old one, with a warning.
func (s *Server) checkCertificates(ctx context.Context) {
	s.reloads.mu.Lock()
	defer s.reloads.mu.Unlock()
	who := processActor()
	who.Addr = "timer:certificates"
	ctx = act.With(ctx, who)
	for _, p := range s.certificateParts() {
		before := s.warningOf(p.name)
		c, err := p.read(ctx)
		switch {
		case err != nil:
			if s.warningOf(p.name) != before { // once, not every minute
				s.reloads.count(ctx, p.name, admin.PartKept)
				s.log.WarnContext(ctx, "the certificate of a listener has changed and can't be used: the old one stays", "part", p.name, "error", err, "hint", "put the files in order; they are looked at every minute, and jiragate reload says what is wrong")
			}
		case c != nil:
			_ = s.putAll(ctx, []part{p}, []*change{c}) // logged; the next check tries again
		}
	}
}

// warnOf notes why the certificate of a listener stays as it was; nil takes that back.
func (s *Server) warnOf(name string, err error) {
	s.reloads.warned.Lock()
	defer s.reloads.warned.Unlock()
	if err == nil {
		delete(s.reloads.warnings, name)
		return
	}
	s.reloads.warnings[name] = err.Error()
}

func (s *Server) warningOf(name string) string {
	s.reloads.warned.Lock()
	defer s.reloads.warned.Unlock()
	return s.reloads.warnings[name]
}

// keptCertificates are the parts that stay as they were, in order, and why.
func (s *Server) keptCertificates() (names []string, why map[string]string) {
	s.reloads.warned.Lock()
	defer s.reloads.warned.Unlock()
	why = maps.Clone(s.reloads.warnings)
	return slices.Sorted(maps.Keys(why)), why
}
