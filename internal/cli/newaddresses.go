package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"jiragate/gateway/audit"
)

// operationUseAddress is in the record of an address that is used without having
// been announced.
const operationUseAddress = "admin.egress.use"

// recordAddresses publishes the addresses that the register has never heard of as in
// use from now on, each with a record of whoever ctx says.
func (s *Server) recordAddresses(ctx context.Context, addresses []netip.Addr) error {
	for _, public := range addresses {
		if s.foundation.register.Heard(public) {
			continue
		}
		using, err := s.journal(s.policy.current.Load()).Begin(ctx,
			audit.Record{Operation: operationUseAddress, Path: "/v1/egress/addresses/" + public.String()})
		if err != nil {
			return fmt.Errorf("publishing egress address %s: %w", public, err)
		}
		if _, err := s.foundation.register.Observe([]netip.Addr{public}, time.Now()); err != nil {
			using.End(http.StatusInternalServerError, codeFailed)
			return err
		}
		using.End(http.StatusOK, "")
		s.log.Info("egress address is used and published from now on", "address", public.String())
	}
	return nil
}
