package cli

import (
	"fmt"
	"log/slog"

	"jiragate/gateway/notify"
	"jiragate/tokenstore"
)

// newNotifier makes what tells the product of changed states; nil where no
// webhook is configured. Of gateways that share a store one at a time does.
func newNotifier(c Config, store *opened, e *engine, logger *slog.Logger) (*notify.Notifier, error) {
	if c.WebhookURL == "" {
		return nil, nil
	}
	secret, err := readSettingSecret("WEBHOOK_SECRET_FILE", c.WebhookSecretFile)
	if err != nil {
		return nil, err
	}
	if err := notify.CheckSecret(secret); err != nil {
		return nil, fmt.Errorf("JIRAGATE_WEBHOOK_SECRET_FILE: %w", err)
	}
	n, err := notify.New(notify.Options{
		Store:   store,
		URL:     string(c.WebhookURL),
		Secret:  secret,
		Serves:  func(connection *tokenstore.Connection) bool { return connection.Region == c.Region },
		OnDuty:  store.onDutyFor(dutyWebhooks, c.Region),
		Version: programVersion().Version,
		Logger:  logger,
		Meter:   e.telemetry.MeterProvider().Meter("jiragate/gateway/notify"),
	})
	if err != nil {
		return nil, fmt.Errorf("JIRAGATE_WEBHOOK_URL: %w", err)
	}
	return n, nil
}
