package echo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say what is to be verified, and how.
type Options struct {
	// Addresses are the egress addresses as published: valid, without zone, IPv4
	// as such, none of them twice; between 1 and 256.
	Addresses []netip.Addr
	// Services are the URLs of echo services, as [ParseServices] returns them; at
	// least one.
	Services []string
	// Transport returns the way out through an address. It is called once for
	// each address in every round, and what it returns is used by several
	// goroutines at once. It must obey the context of a request, and should obey
	// no proxy settings of the environment.
	Transport func(public netip.Addr) http.RoundTripper
}

// Verify asks every service through every address, several at a time, and reports
// what they saw. A service that fails is part of the report and no error.
//
// If ctx ends before the last answer, Verify returns its error together with the
// report so far, in which what had not been answered has failed. For options that
// are not as they should be it returns no report.
func Verify(ctx context.Context, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("verify the egress addresses: %w", err)
	}
	report := &Report{Started: time.Now(), Addresses: make([]AddressReport, len(o.Addresses))}
	var asking errgroup.Group
	asking.SetLimit(maxAsking)
	for i, public := range o.Addresses {
		transport := o.Transport(public)
		answers := make([]Answer, len(o.Services))
		report.Addresses[i] = AddressReport{Public: public, Answers: answers}
		for j, service := range o.Services {
			asking.Go(func() error {
				answers[j] = answerOf(ctx, transport, service, public)
				return nil
			})
		}
	}
	_ = asking.Wait() // no question returns an error
	for i := range report.Addresses {
		report.Addresses[i].Verdict = judge(report.Addresses[i].Answers)
	}
	report.Finished = time.Now()
	if err := ctx.Err(); err != nil {
		return report, fmt.Errorf("verify the egress addresses: ended before every echo service had answered: %w", err)
	}
	return report, nil
}

func answerOf(ctx context.Context, transport http.RoundTripper, service string, public netip.Addr) Answer {
	a := Answer{Service: shown(service), Outcome: OutcomeFailed}
	started := time.Now()
	a.Seen, a.Err = Ask(ctx, transport, service)
	a.Duration = time.Since(started)
	switch {
	case a.Err != nil:
	case a.Seen == public:
		a.Outcome = OutcomeOK
	default:
		a.Outcome = OutcomeMismatch
	}
	return a
}

func (o *Options) check() error {
	switch {
	case o.Transport == nil:
		return errors.New("there is no transport to ask through")
	case len(o.Addresses) == 0:
		return errors.New("there is no published address; configure the region's egress addresses")
	case len(o.Addresses) > maxAddresses:
		return fmt.Errorf("there are %d addresses, more than %d", len(o.Addresses), maxAddresses)
	case len(o.Services) == 0:
		return errors.New("there is no echo service to ask; name one")
	}
	seen := make(map[netip.Addr]bool, len(o.Addresses))
	for _, public := range o.Addresses {
		switch {
		case !public.IsValid() || public.Is4In6() || public.Zone() != "":
			return fmt.Errorf("published address %s: not an IPv4 or IPv6 address in its own form, without zone", public)
		case seen[public]:
			return fmt.Errorf("published address %s is named twice", public)
		}
		seen[public] = true
	}
	return checkServices(o.Services)
}
