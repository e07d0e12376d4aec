package cli

import (
	"cmp"
	"context"
	"io"
	"time"

	"go.opentelemetry.io/otel/metric"

	"jiragate/gateway/audit/offsite"
)

// newCourier makes what brings checkpoints to the places of
// JIRAGATE_AUDIT_CHECKPOINT_TO. It calls endpoints by the system's route, as it calls
// webhooks: Jira's addresses are for Jira.
func newCourier(c Config, store *opened, meter metric.Meter, o StartOptions) (*offsite.Courier, error) {
	token, err := readSettingSecret("AUDIT_CHECKPOINT_TOKEN_FILE", c.CheckpointTokenFile)
	if err != nil {
		return nil, err
	}
	return offsite.New(offsite.Options{
		Places:   c.CheckpointTo,
		Interval: time.Duration(c.CheckpointEvery),
		Stdout:   cmp.Or(o.Stdout, io.Discard),
		Token:    token,
		Publish:  store.publish,
		Logger:   o.Logger,
		Meter:    meter,
	})
}

// startCourier delivers checkpoints until stop is called, which lets it bring the
// last one away.
func (e *engine) startCourier() (stop func()) {
	if e.courier == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.courier.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
