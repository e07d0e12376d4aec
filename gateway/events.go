package gateway

import (
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"jiragate/gateway/pace"
	"jiragate/policy"
)

// What happens to a call on its way, as events of its spans. There are a handful of
// each at most in one call, and none names an issue, a client or an address of one. Two more
// come from whom the gateway asks: jiragate.refresh.awaited from tokenstore/oauth, and
// jiragate.egress.failover from gateway/egress.
const (
	// eventRenewed: Jira refused the access token, and another was asked for.
	eventRenewed = "jiragate.token.renewed"
	// eventRepeated: a read is sent once more, with the new token.
	eventRepeated = "jiragate.request.repeated"
	// eventAsked: Jira's answer asks to wait.
	eventAsked = "jiragate.rate_limit.asked"
	// eventWaited: the call has waited for its turn.
	eventWaited = "jiragate.rate_limit.waited"
	// eventPaceRefused: the call would have had to wait for too long.
	eventPaceRefused = "jiragate.rate_limit.refused"
)

func (c *Call) renewed(ok bool) {
	if c.span.IsRecording() {
		c.span.AddEvent(eventRenewed, trace.WithAttributes(attribute.Bool("jiragate.renewed", ok)))
	}
}

func (c *Call) repeats() {
	if c.span.IsRecording() {
		c.span.AddEvent(eventRepeated, trace.WithAttributes(semconv.HTTPRequestResendCount(1)))
	}
}

func askedToWait(span trace.Span, s pace.Signal) {
	if span.IsRecording() {
		span.AddEvent(eventAsked, trace.WithAttributes(waiting(s.Wait), attribute.String("jiragate.reach", string(s.Reach))))
	}
}

func (c *Call) paceWaited(waited time.Duration) {
	if c.span.IsRecording() {
		c.span.AddEvent(eventWaited, trace.WithAttributes(waiting(waited)))
	}
}

// paceRefused is the refusal of a call that the pacer did not let through.
func (c *Call) paceRefused(err error) *refusal {
	r := pacingRefusal(err)
	if _, ok := errors.AsType[*pace.Refusal](err); ok && c.span.IsRecording() {
		c.span.AddEvent(eventPaceRefused, trace.WithAttributes(waiting(r.retryAfter), attribute.String("jiragate.code", string(r.code))))
	}
	return r
}

func waiting(d time.Duration) attribute.KeyValue {
	return attribute.Int64("jiragate.wait_ms", d.Milliseconds())
}

// denied says on the span of a decision why it is a refusal, which is no error.
func denied(span trace.Span, code policy.Code) {
	if span.IsRecording() {
		span.SetAttributes(attribute.String("jiragate.code", string(code)))
	}
}

// endCredentialSpan says which kind of credential was wanted, and why there is none.
func endCredentialSpan(span trace.Span, c *Call, refused *refusal) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("jiragate.credential", string(c.connection.CredentialKind)))
	if refused != nil {
		failSpan(span, string(refused.code))
	}
}
