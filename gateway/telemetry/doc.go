// Package telemetry sets up OpenTelemetry for traces, metrics and log records,
// the Prometheus endpoint, and the program's log.
//
// Start with [Setup], whose [Telemetry] hands out the providers that other
// packages take, and [NewLogger].
//
// # Configuration
//
// The OTEL_* variables of the OpenTelemetry specification are obeyed: resource
// (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES), sampling (OTEL_TRACES_SAMPLER),
// batching, limits, exporters and their settings, OTEL_SDK_DISABLED. It
// differs from the specification in three points:
//
//   - Nothing is exported unless asked for. OTLP is the default only once one of
//     the OTEL_EXPORTER_OTLP_*ENDPOINT variables says where to.
//   - OTEL_METRICS_EXPORTER=prometheus starts no listener of its own:
//     [Telemetry.PrometheusHandler] serves the metrics in any case.
//   - Only W3C trace context is read, no baggage, whatever OTEL_PROPAGATORS says:
//     what clients put into it would end up in spans.
//
// # Caveats
//
// The program's log does not go out as log records: it is written where
// [NewLogger] is told. What does is the business of whoever takes
// [Telemetry.LoggerProvider].
//
// Setup touches no global provider and no global propagator. But the SDK
// reports what goes wrong later, such as an export that fails, to one handler
// for the whole process, which writes to the standard error stream unless the
// program passes [ErrorHandler] to [go.opentelemetry.io/otel.SetErrorHandler].
//
// The package knows nothing of the domain: what goes into a span, a
// metric or a log record is the business of whoever makes it. No secret belongs
// into any.
package telemetry
